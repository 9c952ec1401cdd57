//go:build pro

package dep

// Seats is there in one edition only.
var Seats = 5
