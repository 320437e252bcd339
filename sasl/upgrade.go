package sasl

import (
	"context"
	"strings"
)

// upgradePrefix begins the names of tasks (XEP-0480 section "Advertising").
const upgradePrefix = "UPGR-"

// upgradeHash returns the hash that a task is about. It is the task's own, whatever mechanism signs in.
func upgradeHash(task string) (scramHash, bool) {
	m, ok := strings.CutPrefix(task, upgradePrefix)
	if !ok || isPlus(m) {
		return scramHash{}, false
	}
	return scramHashOf(m)
}

// mayUpgrade says whether hashes are sent at all after an exchange by this choice: what is sent signs in, so it is sent to a
// server that proved itself, over a channel with nobody in between.
func (c Choice) mayUpgrade() bool {
	_, ok := scramHashOf(c.Mechanism)
	return ok && (c.Flag == FlagPlus || c.policy.AllowUnboundUpgrade)
}

// UpgradeTasks returns which of the offered tasks may be asked for along with this choice: those for hashes that we know, that are
// stronger than the one that signs in and that the policy's minimum allows.
//
// To ask is up to the caller, and no harmless thing: ejabberd 24.12 overwrites the only hash that an account has, and the
// account cannot sign in any more. ejabberd 26.07 does it right.
func (c Choice) UpgradeTasks() []string {
	now, _ := scramHashOf(c.Mechanism)
	var tasks []string
	for _, t := range c.offer.Upgrades {
		if h, ok := upgradeHash(t); ok && c.offer.Protocol == SASL2 && c.mayUpgrade() && h.strength > now.strength {
			tasks = append(tasks, t)
		}
	}
	return tasks
}

// Upgrade computes what a server wants to store for a task (XEP-0480 section "SCRAM Upgrade Tasks"): the salted password of the
// task's hash. iterations is the text of the server's attribute; the policy's limits hold.
//
// The mechanism must have come to its end, Done included. ErrUpgrade means that the hash must not be sent: the server is not
// proven, the exchange was not bound, or the task is not one that UpgradeTasks names.
func Upgrade(ctx context.Context, m Mechanism, task string, salt []byte, iterations string) ([]byte, error) {
	s, ok := unwrap(m).(*scramClient)
	if !ok {
		return nil, ErrUpgrade
	}
	h, ok := upgradeHash(task)
	if !ok || h.strength <= s.hash.strength || len(salt) == 0 || len(salt) > maxSalt {
		return nil, ErrUpgrade
	}
	if s.phase != phaseProven || !s.mayUpgrade {
		return nil, ErrUpgrade
	}
	rounds, err := checkIterations(strings.TrimSpace(iterations), s.limits)
	if err != nil {
		return nil, err
	}
	return h.saltedPassword(ctx, s.password, salt, rounds)
}

// UpgradeTask is the task that asks for the hash of a SCRAM mechanism, for a server.
func UpgradeTask(mechanism string) string {
	return upgradePrefix + strings.TrimSuffix(mechanism, plusSuffix)
}
