package app

import (
	"context"
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// versionCommand is "gateway version".
type versionCommand struct{ p *program }

func (c *versionCommand) define() *cobra.Command {
	return &cobra.Command{Use: "version", Short: "Say which version this is, and of what it was built."}
}

func (c *versionCommand) run(context.Context) int {
	line := func(key, value string) {
		if value != "" {
			_, _ = fmt.Fprintf(c.p.stdout, "%-9s %s\n", key, value) // no one to tell
		}
	}
	line("name", c.p.name)
	line("version", c.p.version)
	if info, ok := debug.ReadBuildInfo(); ok {
		line("module", info.Main.Path)
		for _, s := range info.Settings {
			switch s.Key {
			case "vcs.revision", "vcs.time", "vcs.modified":
				line(s.Key[len("vcs."):], s.Value)
			}
		}
	}
	line("go", runtime.Version()+" "+runtime.GOOS+"/"+runtime.GOARCH)
	return ExitOK
}
