package chat

import "strings"

// rewriteConditions returns source with every conditional expression written as
// a selection from lists that the parser of gonja accepts: a if c else b becomes
// (c and [a] or [b])[0], which evaluates one of a and b only. gonja accepts a
// conditional expression only where it is all of an output or assignment.
func rewriteConditions(source string) string {
	var out strings.Builder
	for _, p := range divide(source) {
		if !p.code {
			out.WriteString(p.source)
			continue
		}
		end := max(2, len(p.source)-2)
		head, body, tail := p.source[:2], p.source[2:end], p.source[end:]
		tag, rest := firstWord(p.source)
		switch {
		case head == "{{":
			out.WriteString(head + rewriteItem(body) + tail)
		case tag == "set" && strings.Contains(rest, "="):
			assign := strings.IndexByte(body, '=') + 1
			out.WriteString(head + body[:assign] + rewriteItem(body[assign:]) + tail)
		default:
			out.WriteString(head + rewriteGroups(body) + tail)
		}
	}
	return out.String()
}

// rewriteItem rewrites an expression that is not inside brackets.
func rewriteItem(s string) string {
	trimmed := strings.Trim(s, "-+ \t\r\n")
	at := strings.Index(s, trimmed)
	before, after := s[:at], s[at+len(trimmed):]
	condition := wordOutside(trimmed, "if")
	if condition < 0 {
		return before + rewriteGroups(trimmed) + after
	}
	value, rest := trimmed[:condition], trimmed[condition+2:]
	other := "[none]"
	if at := wordOutside(rest, "else"); at >= 0 {
		other = "[" + rewriteItem(rest[at+4:]) + "]"
		rest = rest[:at]
	}
	return before + "((" + rewriteGroups(rest) + ") and [" + rewriteGroups(value) + "] or " + other + ")[0]" + after
}

// rewriteGroups rewrites what is inside the brackets of s.
func rewriteGroups(s string) string {
	var out strings.Builder
	for i := 0; i < len(s); {
		switch c := s[i]; c {
		case '\'', '"':
			end := stringEnd(s, i)
			out.WriteString(s[i:end])
			i = end
		case '(', '[', '{':
			end := bracketEnd(s, i)
			inner := max(i+1, end-1)
			out.WriteByte(c)
			out.WriteString(rewriteList(s[i+1 : inner]))
			out.WriteString(s[inner:end])
			i = end
		default:
			out.WriteByte(c)
			i++
		}
	}
	return out.String()
}

// rewriteList rewrites the items between a pair of brackets. An item can follow
// a name and = or a key and a colon.
func rewriteList(s string) string {
	var out strings.Builder
	start := 0
	for i := 0; i <= len(s); i++ {
		if i < len(s) {
			switch c := s[i]; {
			case c == '\'' || c == '"':
				i = stringEnd(s, i) - 1
				continue
			case c == '(' || c == '[' || c == '{':
				i = bracketEnd(s, i) - 1
				continue
			case c == '=' && !isComparison(s, i), c == ':', c == ',':
			default:
				continue
			}
		}
		out.WriteString(rewriteItem(s[start:min(i, len(s))]))
		if i < len(s) {
			out.WriteByte(s[i])
		}
		start = i + 1
	}
	return out.String()
}

// isComparison reports whether the = at i is a part of ==, !=, <= or >=.
func isComparison(s string, i int) bool {
	return i+1 < len(s) && s[i+1] == '=' || i > 0 && strings.IndexByte("=!<>", s[i-1]) >= 0
}

// wordOutside returns the place of a name in s that is neither in a string nor
// inside brackets, or -1.
func wordOutside(s, word string) int {
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '\'' || c == '"':
			i = stringEnd(s, i) - 1
		case c == '(' || c == '[' || c == '{':
			i = bracketEnd(s, i) - 1
		case isNameByte(c):
			end := i
			for end < len(s) && isNameByte(s[end]) {
				end++
			}
			if s[i:end] == word && (i == 0 || s[i-1] != '.') {
				return i
			}
			i = end - 1
		}
	}
	return -1
}

// bracketEnd returns the place after the bracket that closes the one at i.
func bracketEnd(s string, i int) int {
	for depth := 0; i < len(s); i++ {
		switch c := s[i]; c {
		case '\'', '"':
			i = stringEnd(s, i) - 1
		case '(', '[', '{':
			depth++
		case ')', ']', '}':
			if depth--; depth == 0 {
				return i + 1
			}
		}
	}
	return len(s)
}
