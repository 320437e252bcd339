package doctor

import (
	"fmt"
	"net"
	"strings"
)

// placeholder stands for the secret, which is not printed.
const placeholder = "THE SECRET"

// listen returns what makes a server take the component, for either server.
func (e *examination) listen() string {
	host, port := "127.0.0.1", "5347"
	if h, p, err := net.SplitHostPort(e.cfg.Component.Addr); err == nil {
		port = p
		if ip := net.ParseIP(h); ip == nil && h != "localhost" || ip != nil && !ip.IsLoopback() {
			host = "0.0.0.0" // it is reached over a network
		}
	}
	domain := e.cfg.Component.Domain
	return fmt.Sprintf("Prosody, in prosody.cfg.lua; the first two lines belong to the top of the file:\n\n%s\nejabberd, in ejabberd.yml:\n\n%s",
		indent(fmt.Sprintf("component_interfaces = { %q }\ncomponent_ports = { %s }\n\nComponent %q\n    component_secret = %q\n",
			host, port, domain, placeholder)),
		indent(fmt.Sprintf("listen:\n  -\n    port: %s\n    ip: %q\n    module: ejabberd_service\n    hosts:\n      %s:\n        password: %q\n",
			port, host, domain, placeholder)))
}

// ejabberdTLS returns what makes ejabberd speak TLS to components.
func (e *examination) ejabberdTLS() string {
	_, port, err := net.SplitHostPort(e.cfg.Component.Addr)
	if err != nil {
		port = "5347"
	}
	return indent(fmt.Sprintf("listen:\n  -\n    port: %s\n    module: ejabberd_service\n    tls: true\n    certfile: /path/to/certificate-and-key.pem\n    hosts:\n      %s:\n        password: %q\n",
		port, e.cfg.Component.Domain, placeholder))
}

// indent sets lines apart as an example.
func indent(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		if strings.TrimSpace(line) != "" {
			b.WriteString("    ")
		}
		b.WriteString(line)
	}
	return b.String()
}
