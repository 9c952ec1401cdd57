/* Nothing of it is needed; BCC's own helpers include it. */
