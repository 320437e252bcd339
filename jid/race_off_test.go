//go:build !race

package jid_test

const raceEnabled = false
