package logging

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"go.uber.org/zap/zapcore"
)

const (
	maxText = 256      // bytes of a field
	maxLong = 64 << 10 // bytes of the fields in long
)

// long reports whether a field is meant to hold much: the stack of a panic, a stanza of the wire log.
func long(key string) bool { return key == "stack" || key == "xml" }

var lineBreaks = strings.NewReplacer("\n", `\n`, "\r", `\r`) //nolint:gochecknoglobals // read-only

// limited is a core that shortens text and shows what a terminal would act upon, so that what a peer sent stays one field of
// one line. Line breaks and quotes are the encoder's task.
type limited struct{ zapcore.Core }

// With implements zapcore.Core.
func (c *limited) With(fields []zapcore.Field) zapcore.Core {
	return &limited{c.Core.With(limit(fields))}
}

// Check implements zapcore.Core.
func (c *limited) Check(e zapcore.Entry, ce *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if c.Enabled(e.Level) {
		return ce.AddCore(e, c)
	}
	return ce
}

// Write implements zapcore.Core.
func (c *limited) Write(e zapcore.Entry, fields []zapcore.Field) error {
	e.Message = lineBreaks.Replace(Clean(e.Message, maxText)) // the console encoder writes messages as they are
	return c.Core.Write(e, limit(fields))
}

// limit returns the fields with all text cleaned.
func limit(fields []zapcore.Field) []zapcore.Field {
	out := make([]zapcore.Field, len(fields))
	for i, f := range fields {
		most := maxText
		if long(f.Key) {
			most = maxLong
		}
		switch f.Type {
		case zapcore.StringType:
			f.String = Clean(f.String, most)
		case zapcore.ByteStringType:
			f = text(f.Key, string(f.Interface.([]byte)), most)
		case zapcore.StringerType, zapcore.ErrorType:
			f = text(f.Key, show(f.Interface), most)
		}
		out[i] = f
	}
	return out
}

func text(key, s string, most int) zapcore.Field {
	return zapcore.Field{Key: key, Type: zapcore.StringType, String: Clean(s, most)}
}

// show returns the text of an error or fmt.Stringer. A nil pointer in it is not worth a panic.
func show(v any) (s string) {
	defer func() {
		if recover() != nil {
			s = fmt.Sprintf("<%T>", v)
		}
	}()
	switch v := v.(type) {
	case error:
		return v.Error()
	case fmt.Stringer:
		return v.String()
	}
	return ""
}

// Clean returns the text with at most about most bytes, and with control and format characters, such as those that
// turn the direction of text, written as escapes.
func Clean(s string, most int) string {
	cut := 0
	if len(s) > most { // guard: SEC-67
		end := most
		for end > 0 && !utf8.RuneStart(s[end]) {
			end--
		}
		cut, s = len(s)-end, s[:end]
	}
	if strings.ContainsFunc(s, hidden) {
		var b strings.Builder
		for _, r := range s {
			if hidden(r) {
				_, _ = fmt.Fprintf(&b, `\u%04x`, r) // a Builder takes everything
			} else {
				b.WriteRune(r)
			}
		}
		s = b.String()
	}
	if cut > 0 {
		s += fmt.Sprintf("... (%d bytes more)", cut)
	}
	return s
}

// hidden reports whether a terminal would act on the rune instead of showing it. Tab and line breaks are left to the
// encoder, which quotes them.
func hidden(r rune) bool {
	return r != '\n' && r != '\t' && r != '\r' && unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp)
}
