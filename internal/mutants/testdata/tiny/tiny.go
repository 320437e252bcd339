// Package tiny has one guard of each kind.
package tiny

import (
	"errors"
	"strings"
)

var errRefused = errors.New("refused")

// Condition refuses negative numbers, also in two lines.
func Condition(n int) error {
	if m := n; m < 0 &&
		n < 0 { // guard: SEC-01, SEC-14 (a remark)
		return errRefused
	}
	return nil
}

// Statement trims its text.
func Statement(s string) string {
	s = strings.TrimSpace(s) // guard: SEC-02
	return s
}

// Region trims and lowers its text.
func Region(s string) string {
	// guard: SEC-03 begin
	s = strings.TrimSpace(s)
	s = strings.ToLower(s)
	// guard: SEC-03 end
	return s
}

const most = 3 // guard: SEC-04 replace: 3 => 1 << 20

// Replacement refuses long texts.
func Replacement(s string) bool { return len(s) <= most }

var refused = map[string]bool{
	"evil": true, // guard: SEC-05
	"good": false,
}

// Element looks a word up.
func Element(s string) bool { return !refused[s] }

// Case sorts numbers.
func Case(n int) string {
	switch {
	case n < 0: // guard: SEC-06
		return "negative"
	case n > 9:
		return "large"
	}
	return "small"
}

// Unnoticed has a guard that nobody misses.
func Unnoticed(n int) int {
	// guard: SEC-07
	if n < 0 {
		return 0
	}
	return n
}

// Broken declares what it guards.
func Broken(n int) int {
	m := max(n, 0) // guard: SEC-08
	return m
}

// Hang counts down to zero.
func Hang(n int) int {
	steps := 0
	for {
		if n <= 0 { // guard: SEC-09
			return steps
		}
		n--
		steps++
	}
}

// Untested is not tested.
func Untested(n int) int {
	if n < 0 { // guard: SEC-10
		return 0
	}
	return n
}

// Panic reads an element.
func Panic(list []int, i int) int {
	if i >= len(list) { // guard: SEC-13
		return -1
	}
	return list[i]
}

// Skipped has a test that is skipped.
func Skipped(n int) bool {
	if n < 0 { // guard: SEC-15
		return false
	}
	return true
}

// Failing has a test that fails.
func Failing(n int) bool {
	if n < 0 { // guard: SEC-16, SEC-17
		return false
	}
	return true
}

// Fixed has a marker on a declaration.
type Fixed struct {
	n int // guard: SEC-18
}

// Memory repeats a text, if it is not too long.
func Memory(s string, n int) int {
	if n > 1<<10 { // guard: SEC-19
		return 0
	}
	return len(strings.Repeat(s, n))
}
