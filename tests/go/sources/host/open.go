//go:build !noplugin

package main

import "plugin"

func open(name string) error {
	_, err := plugin.Open(name)
	return err
}
