//go:build !race

package programtest

// Race is whether the program is built with the race detector, which takes memory of its own.
const Race = false
