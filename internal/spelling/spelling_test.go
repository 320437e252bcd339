package spelling

import "testing"

func TestNearest(t *testing.T) {
	names := []string{"run", "check", "migrate", "--log-format", "--log-level"}
	for _, tt := range []struct{ name, written, want string }{
		{"the same", "run", "run"},
		{"two letters changed places", "chekc", "check"},
		{"a letter too many", "cheeck", "check"},
		{"a letter is missing", "migrat", "migrate"},
		{"a longer name", "--log-fromat", "--log-format"},
		{"something else", "xylophone", ""},
		{"nothing", "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := Nearest(tt.written, names); got != tt.want {
				t.Errorf("%q, want %q", got, tt.want)
			}
		})
	}
}

func TestDistance(t *testing.T) {
	for _, tt := range []struct {
		a, b string
		want int
	}{{"", "", 0}, {"a", "", 1}, {"", "ab", 2}, {"kitten", "sitting", 3}, {"ab", "ba", 2}} {
		if got, back := Distance(tt.a, tt.b), Distance(tt.b, tt.a); got != tt.want || back != got {
			t.Errorf("%q, %q: %d and %d, want %d", tt.a, tt.b, got, back, tt.want)
		}
	}
}
