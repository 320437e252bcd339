package xmpptool

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/term"
)

// askTerminal asks on the terminal of the process, also where standard input and output are something else, and does not show what
// is typed.
func askTerminal(question string) (string, error) {
	tty, err := os.OpenFile("/dev/tty", os.O_RDWR, 0)
	if err != nil { // no such file, or no terminal
		tty = os.Stdin
	} else {
		defer func() { _ = tty.Close() }()
	}
	fd := int(tty.Fd())
	if !term.IsTerminal(fd) {
		return "", errors.New("there is no terminal to ask on")
	}
	fmt.Fprint(os.Stderr, question)
	answer, err := term.ReadPassword(fd)
	fmt.Fprintln(os.Stderr)
	return string(answer), err
}
