/* Page faults: far too many to tell each, so that all are counted and some are told. */
struct fault_key {
	u32 tgid;
	u32 error;		/* the processor's error code */
};

BPF_F_TABLE("lru_hash", struct fault_key, u64, faults, FAULT_KINDS, 0);

int on_page_fault(struct bpf_raw_tracepoint_args *ctx)
{
#ifdef HAVE_FAULTS
	struct hook_settings *set = settings_now();
	struct fault_key key = { .error = ctx->args[2] };
	u64 *count, first = 0, number;
	struct scratch *s;

	if (!set || !is_on(ROW_PAGE_FAULT, CAT_MEMORY))
		return 0;
	key.tgid = bpf_get_current_pid_tgid() >> 32;
	if (!wanted_process(key.tgid))
		return 0;
	count = faults.lookup_or_try_init(&key, &first);
	if (!count)
		return 0;
	number = __sync_fetch_and_add(count, 1);
	if (!set->fault_interval || number % set->fault_interval)
		return 0;
	s = scratch_of(SLOT_PAGE_FAULT);
	if (!s)
		return 0;
	describe(&s->event, ROW_PAGE_FAULT, CAT_MEMORY);
	s->event.args[0] = ctx->args[0];
	s->event.args[1] = 0;
	GET(s->event.args[1], ctx->args[1], __builtin_offsetof(struct pt_regs, ip));
	s->event.args[2] = key.error;
	s->event.args[3] = number + 1;
	s->event.args[4] = set->fault_interval;
	publish(s, SLOT_PAGE_FAULT);
#endif
	return 0;
}
