// Command asserter looks every named symbol of a plugin up and asserts every interface below of
// it, as a host would. It says on standard output what came of each: symbol, interface, and the
// words of the failed assertion, or nothing where it passed.
package main

import (
	"os"
	"plugin"
)

var assertions = []struct {
	name   string
	assert func(any)
}{
	{"HealthCheck() error", func(v any) { _ = v.(interface{ HealthCheck() error }) }},
	{"HealthCheck() error; Poke(int) (string, error)", func(v any) {
		_ = v.(interface {
			HealthCheck() error
			Poke(int) (string, error)
		})
	}},
	{"Write(p []byte) (n int, err error)", func(v any) {
		_ = v.(interface{ Write(p []byte) (n int, err error) })
	}},
	{"Set(any)", func(v any) { _ = v.(interface{ Set(any) }) }},
	{"Join(...string) rune", func(v any) { _ = v.(interface{ Join(...string) rune }) }},
	{"Close()", func(v any) { _ = v.(interface{ Close() }) }},
}

func main() {
	opened, err := plugin.Open(os.Args[1])
	if err != nil {
		panic(err)
	}
	for _, name := range os.Args[2:] {
		symbol, err := opened.Lookup(name)
		if err != nil {
			panic(err)
		}
		for _, each := range assertions {
			os.Stdout.WriteString(name + "\t" + each.name + "\t" + try(each.assert, symbol) + "\n")
		}
	}
}

func try(assert func(any), symbol any) (said string) {
	defer func() {
		if reason := recover(); reason != nil {
			said = reason.(error).Error()
		}
	}()
	assert(symbol)
	return ""
}
