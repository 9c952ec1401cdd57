// Command panics is a plugin whose initialisation panics.
package main

func init() { panic("not today") }

func main() {}
