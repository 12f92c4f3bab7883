package rubric

import (
	"fmt"

	"github.com/goccy/go-yaml/token"
)

// Bounds on the shape of a file, checked on its tokens before the YAML parser
// sees them: that parser recurses once a level and takes time quadratic in the
// width of a mapping. A set needs five levels and eleven keys.
const (
	maxDepth     = 32
	maxKeys      = 64
	maxForbidden = 20
)

// forbidden are the parts of YAML that a set does without, because they hide
// from a reader what a value is (or, for aliases, let a small file unfold into
// a huge one).
var forbidden = map[token.Type]string{
	token.AnchorType:     "an anchor (&) is not allowed; write the value where it is used",
	token.AliasType:      "an alias (*) is not allowed; write the value out, or put text that starts with * in quotes",
	token.MergeKeyType:   "a merge key (<<) is not allowed; write the fields out",
	token.TagType:        "a tag (!) is not allowed; remove it, or put text that starts with ! in quotes",
	token.DirectiveType:  "a directive (%) is not allowed; remove the line",
	token.MappingKeyType: "an explicit key (?) is not allowed; write `name: value`",
}

// checkTokens notes what the file may not contain. fatal says that the file
// must not be handed to the parser.
func checkTokens(src *source, tokens token.Tokens) (faults Faults, fatal bool) {
	note := func(tk *token.Token, reason string) {
		faults = append(faults, src.fault(placeOf(tk), reason))
	}
	var nest nesting
	var doc document
	for _, tk := range tokens {
		if doc.another(tk) {
			// The parser would drop some of what follows without a word.
			note(tk, "a second document; a file holds one set")
			return faults, true
		}
		if reason, bad := forbidden[tk.Type]; bad {
			note(tk, reason)
			if len(faults) >= maxForbidden {
				return faults, true
			}
		}
		if reason := nest.see(tk); reason != "" {
			note(tk, reason)
			return faults, true
		}
	}
	return faults, false
}

// document follows where the one document of a file begins and ends.
type document struct {
	begun, ended bool
	directive    int // the line of the last directive
}

// another reports that the next token belongs to a second document.
func (d *document) another(tk *token.Token) bool {
	switch {
	case tk.Type == token.CommentType:
		return false
	case tk.Type == token.DirectiveType:
		d.directive = tk.Position.Line
	case tk.Position.Line == d.directive: // the words of a directive
	case tk.Type == token.DocumentEndType:
		d.ended = true
		return false
	case tk.Type == token.DocumentHeaderType && d.begun:
		d.ended = true
	default:
		d.begun = true
	}
	return d.ended
}

// nesting follows how deep and how wide the collections around a token are. It
// is an estimate on the safe side, not a parser: it may count a little more
// than there is, never less by more than a constant factor.
type nesting struct {
	open []level
	flow int // how many of open are flow collections; they are the last ones
}

type level struct {
	column  int // of its keys or dashes
	entries int
	braces  bool // a flow mapping
}

// see takes the next token and says what is wrong with the nesting, if it is.
func (n *nesting) see(tk *token.Token) string {
	switch tk.Type {
	case token.MappingStartType, token.SequenceStartType:
		n.open = append(n.open, level{braces: tk.Type == token.MappingStartType})
		n.flow++
	case token.MappingEndType, token.SequenceEndType:
		if n.flow > 0 {
			n.flow--
			n.open = n.open[:len(n.open)-1]
		}
	case token.CollectEntryType:
		// Keys of a flow mapping need no colon. Lists are not limited here:
		// one of a thousand phrases is refused later, with a better message.
		if n.flow > 0 && n.open[len(n.open)-1].braces {
			n.open[len(n.open)-1].entries++
		}
	case token.SequenceEntryType:
		if n.flow == 0 {
			n.enter(tk.Position.Column, false)
		}
	case token.MappingValueType:
		if n.flow > 0 {
			n.open[len(n.open)-1].entries++
			break
		}
		column := tk.Position.Column
		if tk.Prev != nil && tk.Prev.Position.Line == tk.Position.Line {
			column = tk.Prev.Position.Column
		}
		n.enter(column, true)
	}
	if len(n.open) > maxDepth {
		return fmt.Sprintf("nested more than %d levels deep", maxDepth)
	}
	if last := len(n.open) - 1; last >= 0 && n.open[last].entries > maxKeys {
		return fmt.Sprintf("a mapping of more than %d keys", maxKeys)
	}
	return ""
}

// enter notes a key or a dash at a column outside flow collections.
func (n *nesting) enter(column int, key bool) {
	for len(n.open) > 0 && n.open[len(n.open)-1].column > column {
		n.open = n.open[:len(n.open)-1]
	}
	if len(n.open) == 0 || n.open[len(n.open)-1].column < column {
		n.open = append(n.open, level{column: column})
	}
	if key {
		n.open[len(n.open)-1].entries++
	}
}

// placeOf is where a token starts; the lexer counts lines and code points from
// 1, except that the text of a block scalar has column 0.
func placeOf(tk *token.Token) place {
	if tk == nil || tk.Position == nil {
		return place{}
	}
	return place{tk.Position.Line, max(tk.Position.Column, 1)}
}
