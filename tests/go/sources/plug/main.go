// Command plug is an ordinary plugin with a dependency that its host has as well.
package main

import (
	"errors"

	"example.com/dep"
)

// Counter is a variable, looked up as *int.
var Counter int

// HealthCheck is a function.
func HealthCheck() error { return errors.New(dep.Use().Text) }

func main() {}
