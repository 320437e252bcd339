//go:build race

package storagetest

// raceEnabled says that the race detector slows everything down, so what is about size is left to the runs without it.
const raceEnabled = true
