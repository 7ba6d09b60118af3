//go:build !linux

package checkpoint

// exchange has no portable form outside Linux; install renames twice instead.
func exchange(_, _ string) error { return errNoExchange }
