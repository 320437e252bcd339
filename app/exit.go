package app

// Exit codes of the program. A process that was ended by a second signal has 128 and the signal's number, as a shell has it.
const (
	ExitOK      = 0 // ended in order
	ExitFailure = 1 // something failed that is not one of the others
	ExitConfig  = 2 // the command line or the configuration is wrong: nothing was started
	ExitRefused = 3 // the server refuses the secret or does not know the domain
)
