package cli

import (
	"fmt"
	"strings"

	"github.com/spf13/pflag"
)

// Enum adds a flag that has one of some values.
func Enum(flags *pflag.FlagSet, to *string, name, def, usage string, values ...string) {
	*to = def
	flags.Var(&enum{to, values}, name, usage)
}

type enum struct {
	to     *string
	values []string
}

// String implements pflag.Value.
func (e *enum) String() string { return *e.to }

// Set implements pflag.Value.
func (e *enum) Set(text string) error {
	for _, v := range e.values {
		if text == v {
			*e.to = text
			return nil
		}
	}
	return fmt.Errorf("must be one of \"%s\", not %q", strings.Join(e.values, `", "`), text)
}

// Type implements pflag.Value.
func (*enum) Type() string { return "string" }
