package privilege

import (
	"fmt"

	"github.com/postern-im/postern/jid"
)

// Remedy returns what the operator of a server has to configure so that it grants a component what is needed, for Prosody and for
// ejabberd.
func Remedy(n Need, server, component jid.JID) string {
	prosody, ejabberd := fmt.Sprintf("%s = %q", n.Access, n.Type), fmt.Sprintf("%s: {%s: RULE}", n.Access, n.Type)
	if n.Access == "iq" {
		prosody = fmt.Sprintf("iq = { [%q] = %q }", n.Namespace, n.Type)
		ejabberd = fmt.Sprintf("iq: {%q: {%s: RULE}}", n.Namespace, n.Type)
	}
	return fmt.Sprintf("Prosody: VirtualHost %q needs privileged_entities = { [%q] = { %s } }, and both it and the component the module \"privilege\"; "+
		"ejabberd (25.03 or later): mod_privilege of %s needs %s, where the access rule RULE allows the server %s; then connect again",
		server, component, prosody, server, ejabberd, component)
}
