// Command host opens the plugins named on its command line, one after the other, and says on
// standard output what came of each, a line when it begins and a line when it has ended. A file
// that is opened for ever is told by what its goroutine waits for, not by how long it takes.
package main

import (
	"errors"
	"os"
	"runtime"
	"strings"
	"time"

	"example.com/dep"
)

const panicPrefix = "panic: "

var (
	errHangs    = errors.New("hangs")
	errNoPlugin = errors.New("this program does not import plugin")
)

func main() {
	dep.Use()
	for _, name := range os.Args[1:] {
		say("opening", name)
		switch err := openOrHang(name); {
		case err == nil:
			say("opens", "")
		case err == errHangs:
			say("hangs", "")
		case err == errNoPlugin:
			say("cannot", "")
		case strings.HasPrefix(err.Error(), panicPrefix):
			say("panics", err.Error())
		default:
			say("refused", err.Error())
		}
	}
	say("end", "")
}

func openOrHang(name string) error {
	done, started := make(chan error, 1), make(chan string, 1)
	go func() {
		started <- goroutine()
		defer func() {
			if reason := recover(); reason != nil {
				done <- panicked(reason)
			}
		}()
		done <- open(name)
	}()
	self := <-started
	for {
		select {
		case err := <-done:
			return err
		case <-time.After(2 * time.Millisecond):
			if waitsForEver(self) {
				return errHangs
			}
		}
	}
}

// goroutine is how the calling one begins in a dump of all.
func goroutine() string {
	stack := make([]byte, 64)
	name, _, _ := strings.Cut(string(stack[:runtime.Stack(stack, false)]), "[")
	return name
}

// waitsForEver tells whether a goroutine's plugin.Open waits for an earlier opening, which has
// ended without saying so: files are opened one after the other.
func waitsForEver(self string) bool {
	stacks := make([]byte, 1<<16)
	stacks = stacks[:runtime.Stack(stacks, true)]
	for _, stack := range strings.Split(string(stacks), "\n\n") {
		head, _, _ := strings.Cut(stack, "\n")
		waits := strings.Contains(head, "[chan receive") || strings.Contains(head, "[sync.Mutex.Lock")
		if waits && strings.HasPrefix(head, self) && strings.Contains(stack, "\nplugin.open(") {
			return true
		}
	}
	return false
}

func panicked(reason any) error {
	if err, ok := reason.(error); ok {
		return errors.New(panicPrefix + err.Error())
	}
	text, _ := reason.(string)
	return errors.New(panicPrefix + text)
}

func say(what, detail string) {
	os.Stdout.WriteString(what + "\t" + strings.ReplaceAll(detail, "\n", " ") + "\n")
}
