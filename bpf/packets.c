/* Packets at the network interfaces. */
#define ARPHRD_ETHER 1
#define ARPHRD_LOOPBACK 772
#define NOT_SET 0xffff

#ifdef HAVE_DEVICE
static __always_inline void emit_packet(u32 slot, u16 row, u64 skb, u64 device,
					const struct owner *o, bool arrived)
{
	u32 length = 0;
	u16 protocol = 0, type = 0, at = NOT_SET;
	u64 head = 0;
	struct scratch *s = begin_owned(slot, row, o);

	if (!s)
		return;
	GET(length, skb, O_SKB_LEN);
	GET(protocol, skb, O_SKB_PROTOCOL);
	GET(type, device, O_DEVICE_TYPE);
	s->event.args[0] = length;
	s->event.args[1] = bpf_ntohs(protocol);
	s->event.args[2] = 0;
	s->event.args[3] = 0;
	s->event.args[5] = skb;
	if (type == ARPHRD_ETHER || type == ARPHRD_LOOPBACK)
		GET(at, skb, O_SKB_MAC_HEADER);
	if (at != NOT_SET) {
		GET(head, skb, O_SKB_HEAD);
		bpf_probe_read_kernel(&s->event.args[3], 6, (void *)(head + at));
		bpf_probe_read_kernel(&s->event.args[2], 6, (void *)(head + at + 6));
	}
	capture_kernel_text(s, 0, device + O_DEVICE_NAME);
	capture_packet(s, skb, arrived);
	publish(s, slot);
}
#endif

int on_packet_in(struct bpf_raw_tracepoint_args *ctx)
{
#ifdef HAVE_DEVICE
	u64 device = 0, skb = ctx->args[0];

	if (!is_on(ROW_INGRESS, CAT_NET))
		return 0;
	GET(device, skb, O_SKB_DEV);
	emit_packet(SLOT_INGRESS, ROW_INGRESS, skb, device, NULL, true);
#endif
	return 0;
}

int on_packet_out(struct bpf_raw_tracepoint_args *ctx)
{
#ifdef HAVE_DEVICE
	u64 sk = 0, skb = ctx->args[0];
	struct owner *o = NULL;

	if (!is_on(ROW_EGRESS, CAT_NET))
		return 0;
#ifdef HAVE_TUPLE
	GET(sk, skb, O_SKB_SK);
	if (sk)
		o = owner_of(sk);
#endif
	emit_packet(SLOT_EGRESS, ROW_EGRESS, skb, ctx->args[1], o, false);
#endif
	return 0;
}
