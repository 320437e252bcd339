-- Prosody 13 for development and tests of an XMPP component. Values come from the environment: see entrypoint.sh.

local env = Lua.os.getenv
local data = env("XMPP_DATA")
local certs = env("XMPP_CERTS")
local listen = env("XMPP_LISTEN") or "0.0.0.0"

local function port(name, default)
	return Lua.tonumber(env("XMPP_PORT_" .. name) or default)
end

pidfile = data .. "/prosody/prosody.pid"
data_path = data .. "/prosody"
certificates = certs
plugin_paths = { "/usr/lib/prosody/modules" } -- where Debian's prosody-modules puts them
storage = "internal"
authentication = "internal_hashed"
log = { { levels = { min = env("XMPP_LOG_LEVEL") or "info" }, to = "console" } }

interfaces = { listen }
local_interfaces = { listen }
http_interfaces = { listen }
component_interfaces = { listen }
c2s_ports = { port("C2S", 5222) }
c2s_direct_tls_ports = { port("C2S_TLS", 5223) }
component_ports = { port("COMPONENT", 5347) }
http_ports = { port("HTTP", 5280) }
https_ports = { port("HTTPS", 5443) }
s2s_ports = {}
s2s_direct_tls_ports = {}

c2s_require_encryption = true
local certificate = { certificate = certs .. "/server.crt", key = certs .. "/server.key" }
ssl = certificate
c2s_direct_tls_ssl = certificate
https_ssl = certificate
tls_server_end_point_hash = env("XMPP_CERTIFICATE_HASH")
http_default_host = env("XMPP_HOST") -- whatever name it is asked by
http_external_url = "http://127.0.0.1:" .. port("HTTP", 5280) .. "/"

-- "limits" stays out: unconfigured it holds each client to 10 kB/s.
local modules = {
	"roster", "saslauth", "tls", "disco",
	"admin_socket", "admin_shell",
	"ping", "time", "version", "uptime", "lastactivity",
	"pep", "private", "vcard4", "vcard_legacy", "bookmarks", "blocklist",
	"carbons", "smacks", "csi", "csi_simple", "offline",
	"sasl2", "sasl2_bind2", "sasl2_sm", "sasl2_fast", "sasl_ssdp",
	"privilege", "delegation",
	"register_ibr", "user_account_management", "websocket",
}
if env("XMPP_ARCHIVE") ~= "off" then
	Lua.table.insert(modules, "mam")
end
modules_enabled = modules
modules_disabled = { "s2s" }
for name in Lua.string.gmatch(env("XMPP_WITHOUT") or "", "%S+") do
	Lua.table.insert(modules_disabled, name)
end

component_conflict_resolve = env("XMPP_CONFLICT") or "kick_new"

local host = env("XMPP_HOST")

VirtualHost(host)
password_hash = "SHA-256"

-- For clients that have no account (ANONYMOUS), and for those that show a certificate of the authority (EXTERNAL).
VirtualHost("anon." .. host)
authentication = "anonymous"

VirtualHost("cert." .. host)
authentication = "ccert"
ssl = { certificate = certificate.certificate, key = certificate.key, cafile = certs .. "/ca.crt", verify = { "peer" } }

for domain, secret in Lua.string.gmatch(env("XMPP_COMPONENTS") or "", "([^%s=]+)=(%S+)") do
	Component(domain)
	component_secret = secret
	modules_enabled = { "privilege", "delegation" }
end

Component("muc." .. host)("muc")
Component("upload." .. host)("http_file_share")
http_file_share_size_limit = 10 * 1024 * 1024

if env("XMPP_EXTRA") then
	Include(env("XMPP_EXTRA"))
end
