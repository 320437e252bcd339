//go:build !linux

package outbox_test

import (
	"os"
	"syscall"
)

// stopSelf stops the process, perhaps a moment later.
func stopSelf() { _ = syscall.Kill(os.Getpid(), syscall.SIGSTOP) }
