package doctor

import (
	"fmt"
	"io"
	"strings"
)

// Print writes a finding for reading by eye.
func Print(w io.Writer, f Finding) error {
	mark := string(f.Verdict)
	if f.Verdict == Fail {
		mark = "FAIL"
	}
	if _, err := fmt.Fprintf(w, "%-4s  %-7s  %s\n", mark, f.Step, f.Summary); err != nil {
		return err
	}
	if f.Remedy == "" {
		return nil
	}
	var b strings.Builder
	b.WriteByte('\n')
	for line := range strings.Lines(strings.TrimRight(f.Remedy, "\n") + "\n") {
		if strings.TrimSpace(line) != "" {
			b.WriteString("      ")
		}
		b.WriteString(line)
	}
	b.WriteByte('\n')
	_, err := io.WriteString(w, b.String())
	return err
}
