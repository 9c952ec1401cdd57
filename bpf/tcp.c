/* TCP. */
int on_tcp_state(struct bpf_raw_tracepoint_args *ctx)
{
#if defined(HAVE_TCP) && defined(HAVE_TUPLE)
	u32 slot = SLOT_TCP, owned = 0, zero = 0;
	u64 sk = ctx->args[0], id = bpf_get_current_pid_tgid();
	struct pair *pair = pair_of(ROW_TCP_SET_STATE);
	struct config *c;
	struct scratch *s;
	u16 protocol = 0;

	if (!pair || !pair->enter[CAT_NET])
		return 0;
	GET(protocol, sk, O_SK_PROTOCOL);
	if (protocol != IPPROTO_TCP)
		return 0;
#ifdef HAVE_OWNER
	/*
	 * While a thread holds the socket, soft interrupts leave its state alone: a change is then
	 * that thread's own. Otherwise whoever runs here was merely interrupted.
	 */
	GET(owned, sk, O_SK_OWNED);
#endif
	c = config.lookup(&zero);
	if (!c || (owned ? !wanted_process(id >> 32) : c->scoped))
		return 0;
	s = scratch_of(slot);
	if (!s)
		return 0;
	describe(&s->event, ROW_TCP_SET_STATE, CAT_NET);
	if (!owned)
		s->event.flags |= EV_NO_OWNER;
	s->event.args[0] = ctx->args[1];
	s->event.args[1] = ctx->args[2];
	s->event.args[2] = (u32)id;
	capture_tuple(s, sk);
	publish(s, slot);
#endif
	return 0;
}

