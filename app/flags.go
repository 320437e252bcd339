package app

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"github.com/postern-im/postern/internal/cli"
	"github.com/postern-im/postern/internal/settings"
)

// configured is what commands have in common that read the configuration.
type configured struct {
	p *program

	config string            // name of the file, or ""
	given  map[string]string // settings on the command line, by the names of their flags
}

// flags adds a flag for the file, and one for each setting whose key begins with one of these; for all settings where there is
// none. A secret has no flag: all users of the machine could see it.
func (c *configured) flags(flags *pflag.FlagSet, file string, keys ...string) {
	flags.StringVarP(&c.config, "config", "c", "", file)
	c.given = make(map[string]string)
	cfg := Defaults()
	for _, f := range settings.New(&cfg).Fields() {
		among := func(key string) bool { return strings.HasPrefix(f.Key, key) }
		if f.Secret() || len(keys) > 0 && !slices.ContainsFunc(keys, among) {
			continue
		}
		flag := flags.VarPF(&settingFlag{field: f, given: c.given}, f.Flag(), "", c.p.settingHelp(f))
		cli.Group(flags, f.Group(), f.Flag())
		if f.IsBool() {
			flag.NoOptDefVal = "true"
			not := flags.VarPF(&settingFlag{field: f, given: c.given, not: true}, "no-"+f.Flag(), "", "")
			not.NoOptDefVal, not.Hidden = "true", true
		}
	}
}

// settingHelp says what a setting is for, its default, and the environment variable that sets it as well.
func (p *program) settingHelp(f *settings.Field) string {
	help := f.Help()
	if def := fmt.Sprint(f.Any()); def != "" && def != "false" && def != "[]" && def != "0" {
		help = strings.TrimSuffix(help, ".") + fmt.Sprintf(" [%s].", def)
	}
	return help + " $" + f.Env(p.prefix)
}

// settingFlag is the flag of a setting.
type settingFlag struct {
	field *settings.Field
	given map[string]string
	not   bool // it is --no-...
}

// Set implements pflag.Value.
func (v *settingFlag) Set(text string) error {
	if err := v.field.Check(text); err != nil {
		return err
	}
	name := v.field.Flag()
	switch before, again := v.given[name]; {
	case v.not:
		text = fmt.Sprint(text != "true")
	case again && v.field.IsList():
		text = before + "," + text
	}
	v.given[name] = text
	return nil
}

// String implements pflag.Value. The default is part of the help.
func (*settingFlag) String() string { return "" }

// Type implements pflag.Value. It is what help calls the value.
func (v *settingFlag) Type() string {
	switch {
	case v.field.IsBool():
		return "bool"
	case v.field.IsList():
		return v.field.Placeholder() + ",..."
	}
	return v.field.Placeholder()
}

// load reads the configuration of a command.
func (c *configured) load() (Config, []string, error) { return load(c.source()) }

func (c *configured) source() source {
	p := c.p
	file := c.config
	if file == "" {
		for _, e := range p.environ {
			if v, ok := strings.CutPrefix(e, p.prefix+"_CONFIG="); ok {
				file = v
			}
		}
	}
	return source{file: file, environ: p.environ, prefix: p.prefix, program: p.name, sections: p.sections, flags: c.given}
}
