package outbox_test

import (
	"os"
	"syscall"
)

// stopSelf stops the process. It is aimed at this thread, so that the process does not go on for a moment.
func stopSelf() {
	_, _, _ = syscall.Syscall(syscall.SYS_TGKILL, uintptr(os.Getpid()), uintptr(syscall.Gettid()), uintptr(syscall.SIGSTOP))
}
