package wsstream

import (
	"testing"

	"github.com/postern-im/postern/xmltree"
)

// scanned reports whether a frame is one whole element.
func scanned(b []byte) bool {
	var s scanner
	for _, c := range b {
		if s.step(c) != nil {
			return false
		}
	}
	return s.done
}

// FuzzScan holds the scanner against the parser: what the parser takes as one element the scanner passes, and in what the scanner passes
// the parser never finds two.
func FuzzScan(f *testing.F) {
	for _, s := range []string{
		"<a/>", "<a></a>", "<a b='>' c=\"'/>\"/> ", "<a><b/>x<![CDATA[<]]>]]></a>", "<a/><b/>", "<a/>x", " <a/>", "<a", "<a><b></a></b>", "</a>",
		"<a><!-- --></a>", "<?x?><a/>", "<!DOCTYPE a><a/>", "<a / >", "<a><![CDATA[]]]]]></a>", "<a b='<'/>", "<a></a ></b>", "",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		passed := scanned(b)
		if _, err := xmltree.Parse(b, xmltree.Limits{}); err == nil && !passed && len(b) > 0 && b[0] == '<' && (len(b) < 2 || b[1] != '?') {
			t.Errorf("one element is refused: %q", b)
		}
		if passed {
			p := xmltree.NewParser(xmltree.Config{})
			elements := 0
			in := append([]byte("<r>"), b...)
			for {
				tok, err := p.Next()
				if err != nil {
					return
				}
				switch tok {
				case xmltree.TokenElement, xmltree.TokenTooLarge:
					elements++
				case xmltree.TokenClose:
					t.Errorf("the stream's end is passed: %q", b)
					return
				case xmltree.TokenNone:
					if len(in) == 0 {
						if elements != 1 {
							t.Errorf("%d elements are passed: %q", elements, b)
						}
						return
					}
					if n, err := p.Fill(&reader{&in}); n == 0 || err != nil {
						t.Fatal(n, err)
					}
				}
			}
		}
	})
}

type reader struct{ b *[]byte }

func (r *reader) Read(p []byte) (int, error) {
	n := copy(p, *r.b)
	*r.b = (*r.b)[n:]
	return n, nil
}
