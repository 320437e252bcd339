//go:build race

package jid_test

const raceEnabled = true
