// Command shared becomes a C library written in Go, which no plugin.Open can open.
package main

import "C"

//export Answer
func Answer() C.int { return 42 }

func main() {}
