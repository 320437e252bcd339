//go:build !unix

package servertest

import "os"

// lockFile creates a file. Without locks two tests may, rarely, choose the same port.
func lockFile(name string) (*os.File, error) { return os.OpenFile(name, os.O_CREATE|os.O_RDWR, 0o666) }

// alive says whether a process of this machine exists. That is not known here, so nothing is swept.
func alive(int) bool { return true }
