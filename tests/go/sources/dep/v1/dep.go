// Package dep is what host and plugin share.
package dep

// Report is a value that both know.
type Report struct{ Text string }

//go:noinline
func Use() Report { return Report{"one"} }
