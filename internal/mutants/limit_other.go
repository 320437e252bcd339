//go:build !linux

package main

import (
	"os"
	"os/exec"
)

// runLimited runs another program. Only Linux limits its memory, where CI runs.
func runLimited(argv []string) error {
	cmd := exec.Command(argv[0], argv[1:]...) //nolint:noctx // lives as long as this process
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	if err := cmd.Run(); err != nil {
		return err
	}
	os.Exit(0)
	return nil
}
