package main

import (
	"os"
	"os/exec"
	"syscall"
)

// memory is how much address space a mutant's tests get. Without its guard a reader may well take all that there is.
const memory = 4 << 30

// runLimited becomes another program, with limited memory. It returns only if that fails.
func runLimited(argv []string) error {
	limit := syscall.Rlimit{Cur: memory, Max: memory}
	if err := syscall.Setrlimit(syscall.RLIMIT_AS, &limit); err != nil {
		return err
	}
	path, err := exec.LookPath(argv[0])
	if err != nil {
		return err
	}
	return syscall.Exec(path, argv, os.Environ())
}
