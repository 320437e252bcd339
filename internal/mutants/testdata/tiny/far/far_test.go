package far

import (
	"testing"

	"example.org/tiny"
)

func TestSEC06_FarAway(t *testing.T) {
	if s := tiny.Case(-1); s != "negative" {
		t.Error(s)
	}
}
