// Command second is another plugin with the same dependency.
package main

import "example.com/dep"

// Report is a function.
func Report() dep.Report { return dep.Use() }

func main() {}
