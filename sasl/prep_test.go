package sasl

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
)

func TestPrepare(t *testing.T) {
	for _, tc := range []struct{ name, in, want string }{
		// RFC 4013 section 3
		{"SOFT HYPHEN mapped to nothing", "I\u00adX", "IX"},
		{"no transformation", "user", "user"},
		{"case preserved, will not match the one before", "USER", "USER"},
		{"output is NFKC, input in ISO 8859-1", "\u00aa", "a"},
		{"output is NFKC, will match the first", "\u2168", "IX"},
		// what servers sign in
		{"two in one", "\u2168\u00aa", "IXa"},
		{"other spaces", "a\u00a0b\u3000c", "a b c"},
		{"ZERO WIDTH SPACE is a space first", "a\u200bb", "a b"},
		{"younger than Unicode 3.2", "\U0001f600pw", "\U0001f600pw"},
		{"younger, and decomposed today", "\U0001f100", "\U0001f100"},
		{"younger between a letter and its mark", "e\U0001f600\u0301", "e\U0001f600\u0301"},
		{"decomposed then otherwise than today", "\U0002f868", "\U0002136a"},
		{"marks are composed", "e\u0301", "\u00e9"},
		{"right to left", "\u0627\u0031\u0628", "\u0627\u0031\u0628"},
		{"an emoji's variation selector", "\u2764\ufe0f", "\u2764"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got, err := Prepare(tc.in); got != tc.want || err != nil {
				t.Errorf("%+q, %v, want %+q", got, err, tc.want)
			}
		})
	}
}

func TestPrepareRefuses(t *testing.T) {
	for _, tc := range []struct{ name, in string }{
		// RFC 4013 section 3
		{"prohibited character", "\u0007"},
		{"bidirectional check", "\u0627\u0031"},
		// section 2.3
		{"NUL", "a\x00b"},
		{"non-ASCII control", "a\u0085b"},
		{"private use", "\ue000"},
		{"noncharacter", "\ufdd0"},
		{"replacement character", "\ufffd"},
		{"ideographic description", "\u2ff0"},
		{"change of display", "\u200e"},
		{"tag", "\U000e0001"},
		{"left to right among right to left", "\u0627a\u0628"},
		{"not UTF-8", "a\xff"},
		{"surrogate", "\xed\xa0\x80"},
		{"too long", strings.Repeat("a", maxPrep+1)},
		{"empty", ""},
		{"empty in the end", "\u00ad\u200d"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := prepare("password", tc.in)
			var refused *PrepError
			if !errors.As(err, &refused) || got != "" {
				t.Fatalf("%+q, %v", got, err)
			}
			if len(tc.in) > 2 && strings.Contains(err.Error(), tc.in) {
				t.Errorf("the error shows the password: %v", err)
			}
		})
	}
}

// TestPrepareCodePoints compares with another implementation (testdata/saslprep.py), in blocks of 4096.
func TestPrepareCodePoints(t *testing.T) {
	text, err := os.ReadFile("testdata/saslprep.txt")
	if err != nil {
		t.Fatal(err)
	}
	blocks := strings.Split(strings.TrimSpace(string(text)), "\n")
	if len(blocks) < 20 {
		t.Fatalf("%d blocks", len(blocks))
	}
	for _, line := range blocks {
		var from rune
		if _, err := fmt.Sscanf(line, "%x", &from); err != nil {
			t.Fatal(err)
		}
		h := sha256.New()
		for c := from; c < from+0x1000; c++ {
			if c >= 0xd800 && c < 0xe000 {
				continue
			}
			result := "refused"
			if s, err := Prepare(string(c)); err == nil {
				result = hex.EncodeToString([]byte(s))
			}
			fmt.Fprintf(h, "%x %s\n", c, result)
		}
		if got := fmt.Sprintf("%06x %x", from, h.Sum(nil)); got != line {
			t.Errorf("block %s, want %s", got, line)
		}
	}
}
