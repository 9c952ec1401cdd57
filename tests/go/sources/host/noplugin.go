//go:build noplugin

package main

func open(string) error { return errNoPlugin }
