"""Running a module where it can do no harm: a supervisor, and the runner it watches over."""
