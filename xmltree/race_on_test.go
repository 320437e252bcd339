//go:build race

package xmltree

// less divides what the tests read that feed megabytes to one parser in one goroutine: the race detector makes them ten times
// slower and has nothing to find there. Without it they read everything.
const less = 8
