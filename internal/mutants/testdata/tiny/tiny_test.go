package tiny

import "testing"

func TestSEC01_Condition(t *testing.T) {
	if Condition(-1) == nil {
		t.Error("-1 is accepted")
	}
}

func TestWords(t *testing.T) {
	for _, tt := range []struct{ name, got, want string }{
		{"SEC-02 statement", Statement(" a "), "a"},
		{"SEC-03 region", Region(" A "), "a"},
		{"SEC-14 another row's test", "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if tt.got != tt.want {
				t.Errorf("%q, want %q", tt.got, tt.want)
			}
		})
	}
	if Condition(-1) == nil {
		t.Error("the test fails outside of its subtests")
	}
}

func TestSEC04(t *testing.T) {
	if Replacement("long text") {
		t.Error("a long text is accepted")
	}
}

func TestSEC05(t *testing.T) {
	if Element("evil") {
		t.Error("evil is accepted")
	}
}

func TestSEC07(t *testing.T) {
	if Unnoticed(1) != 1 {
		t.Error("1 is changed")
	}
}

func TestSEC08(t *testing.T) {
	if Broken(-1) != 0 {
		t.Error("negative")
	}
}

func TestSEC09(t *testing.T) {
	if n := Hang(3); n != 3 {
		t.Error(n)
	}
}

func TestSEC13(t *testing.T) {
	if n := Panic(nil, 1); n != -1 {
		t.Error(n)
	}
}

func TestSEC15(t *testing.T) { t.Skip("not today") }

func TestSEC16(t *testing.T) {
	if Failing(-1) || !Failing(1) || true {
		t.Error("fails anyway")
	}
}

func TestSEC17(t *testing.T) {
	if Failing(-1) {
		t.Error("negative")
	}
}

func TestSEC18(t *testing.T) { _ = Fixed{} }

func TestSEC19(t *testing.T) {
	if Memory("0123456789abcdef", 1<<30) != 0 {
		t.Error("a large number is accepted")
	}
}
