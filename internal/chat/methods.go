package chat

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/nikolalohinski/gonja/v2/exec"
)

// textMethods are the methods of texts. Those of gonja do not accept the
// arguments that Python's have defaults for.
var textMethods = map[string]exec.Method[string]{
	"strip":  trimmed(func(s, set string) string { return strings.Trim(s, set) }, strings.TrimFunc),
	"lstrip": trimmed(func(s, set string) string { return strings.TrimLeft(s, set) }, strings.TrimLeftFunc),
	"rstrip": trimmed(func(s, set string) string { return strings.TrimRight(s, set) }, strings.TrimRightFunc),

	"upper":      plain(strings.ToUpper),
	"lower":      plain(strings.ToLower),
	"capitalize": plain(capitalized),
	"title":      plain(titled),

	"startswith":   with(func(s, part string) any { return strings.HasPrefix(s, part) }),
	"endswith":     with(func(s, part string) any { return strings.HasSuffix(s, part) }),
	"removeprefix": with(func(s, part string) any { return strings.TrimPrefix(s, part) }),
	"removesuffix": with(func(s, part string) any { return strings.TrimSuffix(s, part) }),
	"count":        with(func(s, part string) any { return strings.Count(s, part) }),
	"find":         with(func(s, part string) any { return runeIndex(s, strings.Index(s, part)) }),
	"rfind":        with(func(s, part string) any { return runeIndex(s, strings.LastIndex(s, part)) }),

	"isdigit": whole(unicode.IsDigit),
	"isalpha": whole(unicode.IsLetter),
	"isalnum": whole(func(r rune) bool { return unicode.IsLetter(r) || unicode.IsNumber(r) }),
	"isspace": whole(isSpace),

	"split":      split,
	"splitlines": splitLines,
	"replace":    replaceText,
	"join":       joinText,
}

// isSpace reports whether Python's str.isspace holds, which counts the four
// information separators among white space.
func isSpace(r rune) bool { return unicode.IsSpace(r) || r >= 0x1c && r <= 0x1f }

// texts returns the arguments of a method, between least and most texts.
func texts(params *exec.VarArgs, least, most int) ([]string, error) {
	if n := len(params.Args); n < least || n > most || len(params.KwArgs) > 0 {
		return nil, fmt.Errorf("%d arguments; want %d to %d", n+len(params.KwArgs), least, most)
	}
	var list []string
	for _, a := range params.Args {
		if !a.IsString() {
			return nil, errors.New("an argument is not a text")
		}
		list = append(list, a.String())
	}
	return list, nil
}

func plain(f func(string) string) exec.Method[string] {
	return func(self string, _ *exec.Value, params *exec.VarArgs) (any, error) {
		_, err := texts(params, 0, 0)
		return f(self), err
	}
}

func with(f func(s, part string) any) exec.Method[string] {
	return func(self string, _ *exec.Value, params *exec.VarArgs) (any, error) {
		args, err := texts(params, 1, 1)
		if err != nil {
			return nil, err
		}
		return f(self, args[0]), nil
	}
}

func whole(is func(rune) bool) exec.Method[string] {
	return func(self string, _ *exec.Value, params *exec.VarArgs) (any, error) {
		_, err := texts(params, 0, 0)
		return self != "" && strings.IndexFunc(self, func(r rune) bool { return !is(r) }) < 0, err
	}
}

func trimmed(bySet func(s, set string) string, byRune func(s string, is func(rune) bool) string) exec.Method[string] {
	return func(self string, _ *exec.Value, params *exec.VarArgs) (any, error) {
		args, err := texts(params, 0, 1)
		if err != nil {
			return nil, err
		}
		if len(args) == 0 {
			return byRune(self, isSpace), nil
		}
		return bySet(self, args[0]), nil
	}
}

// runeIndex returns a place in bytes as one in characters.
func runeIndex(s string, at int) int {
	if at < 0 {
		return at
	}
	return utf8.RuneCountInString(s[:at])
}

func capitalized(s string) string {
	r, size := utf8.DecodeRuneInString(s)
	if size == 0 {
		return s
	}
	return string(unicode.ToTitle(r)) + strings.ToLower(s[size:])
}

func titled(s string) string {
	inWord := false
	return strings.Map(func(r rune) rune {
		starts := unicode.IsLetter(r) && !inWord
		inWord = unicode.IsLetter(r)
		if starts {
			return unicode.ToTitle(r)
		}
		return unicode.ToLower(r)
	}, s)
}

func split(self string, _ *exec.Value, params *exec.VarArgs) (any, error) {
	limit := -1
	args := params.Args
	if len(args) == 2 && args[1].IsInteger() {
		limit, args = args[1].Integer(), args[:1]
	}
	parts, err := texts(&exec.VarArgs{Args: args}, 0, 1)
	switch {
	case err != nil:
		return nil, err
	case len(parts) == 1 && parts[0] == "":
		return nil, errors.New("the separator is empty")
	case len(parts) == 0:
		return anyList(strings.FieldsFunc(self, isSpace)), nil
	case limit >= 0:
		return anyList(strings.SplitN(self, parts[0], limit+1)), nil
	}
	return anyList(strings.Split(self, parts[0])), nil
}

func splitLines(self string, _ *exec.Value, params *exec.VarArgs) (any, error) {
	if _, err := texts(params, 0, 0); err != nil {
		return nil, err
	}
	lines := strings.Split(strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(self), "\n")
	if lines[len(lines)-1] == "" {
		lines = lines[:len(lines)-1]
	}
	return anyList(lines), nil
}

func anyList(list []string) []any {
	out := make([]any, len(list))
	for i, s := range list {
		out[i] = s
	}
	return out
}

// replaceText is the method replace, whose third argument is a number.
func replaceText(self string, value *exec.Value, params *exec.VarArgs) (any, error) {
	if err := checkGrowth(value, params); err != nil {
		return nil, err
	}
	count := -1
	args := params.Args
	if len(args) == 3 && args[2].IsInteger() {
		count, args = args[2].Integer(), args[:2]
	}
	parts, err := texts(&exec.VarArgs{Args: args}, 2, 2)
	if err != nil {
		return nil, err
	}
	return strings.Replace(self, parts[0], parts[1], count), nil
}

func joinText(self string, _ *exec.Value, params *exec.VarArgs) (any, error) {
	if len(params.Args) != 1 {
		return nil, errors.New("want one list")
	}
	var parts []string
	length := 0
	params.Args[0].Iterate(func(_, _ int, key, _ *exec.Value) bool {
		parts = append(parts, key.String())
		length += len(parts[len(parts)-1]) + len(self)
		return length <= maxText
	}, func() {})
	if err := checkLength(length); err != nil {
		return nil, err
	}
	return strings.Join(parts, self), nil
}
