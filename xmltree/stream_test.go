package xmltree

import (
	"errors"
	"io"
	"runtime"
	"strings"
	"testing"
)

// condition returns the sentinel that an error of the parser wraps, as text.
func condition(err error) string {
	for _, s := range []error{ErrNotWellFormed, ErrRestricted, ErrEncoding, ErrLimit} {
		if errors.Is(err, s) {
			return s.Error()
		}
	}
	if err != nil {
		return "an error without condition: " + err.Error()
	}
	return "none"
}

// events returns a line for each token of a stream and one for how it ends.
func events(t testing.TB, input string, size int, l Limits) string {
	t.Helper()
	out, err := parseStream(t, input, size, l)
	if err != nil {
		out = append(out, "error: "+err.Error())
	}
	return strings.Join(out, "\n")
}

// refused demands that a stream ends with this condition however its bytes arrive, and yields no stanza before.
func refused(t *testing.T, input string, want error) {
	t.Helper()
	whole := ""
	for _, size := range []int{len(input), 1, 2, 3, 5, 16} {
		out, err := parseStream(t, input, size, Limits{})
		if !errors.Is(err, want) {
			t.Errorf("%d bytes a read: got condition %q, want %q, behind %q", size, condition(err), want, out)
			continue
		}
		for _, line := range out {
			if !strings.HasPrefix(line, "open ") {
				t.Errorf("%d bytes a read: got %s before the error", size, line)
			}
		}
		if whole == "" {
			whole = err.Error()
		} else if err.Error() != whole {
			t.Errorf("%d bytes a read: %v, but %s when read at once", size, err, whole)
		}
	}
}

// accepted demands that a document parses, however its bytes arrive, and reads as want when it is written again.
func accepted(t *testing.T, input, want string) {
	t.Helper()
	for _, size := range []int{len(input), 1, 2, 3, 5} {
		p := NewParser(Config{Document: true})
		r := &chunks{input, size}
		el, err := readElement(p, r)
		if err != nil {
			t.Errorf("%d bytes a read: %v in %q", size, err, input)
			continue
		}
		if got := el.String(); got != want {
			t.Errorf("%d bytes a read: got %q, want %q", size, got, want)
		}
	}
}

// readElement returns the next stanza, as a copy.
func readElement(p *Parser, r io.Reader) (Element, error) {
	for {
		tok, err := p.Next()
		switch {
		case err != nil:
			return Element{}, err
		case tok == TokenElement:
			return p.Element().Clone(), nil
		case tok == TokenNone:
			if _, err := p.Fill(r); err != nil {
				return Element{}, err
			}
		}
	}
}

// source is an input that is made as it is read: a beginning, then a piece over and over, then an end.
type source struct {
	begin, piece, end string
	times             int
	rest              string
	block             string // the piece, several times
	read              int64
}

func (s *source) Read(b []byte) (n int, err error) {
	for n < len(b) {
		if s.rest == "" {
			switch {
			case s.begin != "":
				s.rest, s.begin = s.begin, ""
			case s.times > 0:
				if s.block == "" {
					s.block = strings.Repeat(s.piece, 1+4096/len(s.piece))
				}
				k := min(s.times, len(s.block)/len(s.piece))
				s.rest = s.block[:k*len(s.piece)]
				s.times -= k
			case s.end != "":
				s.rest, s.end = s.end, ""
			case n == 0:
				return 0, io.EOF
			default:
				s.read += int64(n)
				return n, nil
			}
		}
		m := copy(b[n:], s.rest)
		s.rest = s.rest[m:]
		n += m
	}
	s.read += int64(n)
	return n, nil
}

// allocated returns how many bytes f allocates in all, which bounds what it holds at any time.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}
