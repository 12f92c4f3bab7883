package rubric

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml/ast"
)

// decoder turns the YAML tree into a set and notes every value that has the
// wrong type, as well as where each value stands.
type decoder struct {
	collector
	places map[string]place
}

// field says how to read the value of one key.
type field struct {
	name string
	read func(node ast.Node, pointer string)
}

// set reads the whole tree. It always returns a set, however little is in it.
func (d *decoder) set(node ast.Node) *Set {
	s := &Set{}
	d.places[""] = place{1, 1}
	d.mapping(node, "", []field{
		{"version", d.integer(&s.Version)},
		{"id", d.text(&s.ID)},
		{"title", d.text(&s.Title)},
		{"questions", d.list(func(node ast.Node, pointer string) {
			q := &Question{}
			s.Questions = append(s.Questions, q)
			d.question(q, node, pointer)
		})},
	})
	return s
}

func (d *decoder) question(q *Question, node ast.Node, pointer string) {
	d.mapping(node, pointer, []field{
		{"id", d.text(&q.ID)},
		{"kind", d.text((*string)(&q.Kind))},
		{"question", d.text(&q.Text)},
		{"intent", d.text(&q.Intent)},
		{"guidance", d.text(&q.Guidance)},
		{"sample_answer", d.text(&q.SampleAnswer)},
		{"criteria", d.list(func(node ast.Node, pointer string) {
			q.Criteria = append(q.Criteria, Criterion{})
			d.criterion(&q.Criteria[len(q.Criteria)-1], node, pointer)
		})},
	})
}

func (d *decoder) criterion(c *Criterion, node ast.Node, pointer string) {
	d.mapping(node, pointer, []field{
		{"id", d.text(&c.ID)},
		{"statement", d.text(&c.Statement)},
		{"weight", d.number(&c.Weight)},
		{"partial", d.text(&c.Partial)},
		{"hint", d.text(&c.Hint)},
		{"phrases", d.list(func(node ast.Node, pointer string) {
			c.Phrases = append(c.Phrases, "")
			d.text(&c.Phrases[len(c.Phrases)-1])(node, pointer)
		})},
		{"kind", d.text((*string)(&c.Kind))},
		{"signal", d.text((*string)(&c.Signal))},
	})
}

// mapping reads the fields of a mapping and notes unknown and repeated ones.
func (d *decoder) mapping(node ast.Node, pointer string, fields []field) {
	names := make([]string, len(fields))
	for i, f := range fields {
		names[i] = f.name
	}
	node = bare(node)
	m, ok := node.(ast.MapNode)
	if !ok {
		d.wrong(node, pointer, "fields ("+strings.Join(names, ", ")+")")
		return
	}
	seen := make(map[string]place)
	for entries := m.MapRange(); entries.Next(); {
		node := entries.Key()
		if explicit, ok := node.(*ast.MappingKeyNode); ok {
			node, _ = explicit.Value.(ast.MapKeyNode) // refused by its token, but known
		}
		if node == nil || node.IsMergeKey() {
			// Refused by its token; what it would bring in is not missing.
			for _, f := range fields {
				d.excuse(pointer + "/" + f.name)
			}
			continue
		}
		key := node.GetToken()
		at := placeOf(key)
		if len(seen) == 0 {
			d.places[pointer] = at // better than the dash before it
		}
		child := pointer + "/" + escapePointer(key.Value)
		if first, again := seen[key.Value]; again {
			d.places[child+"#again"] = at
			d.add(child+"#again", "%s is given twice; the first is on line %d", key.Value, first.line)
			d.faults[len(d.faults)-1].Pointer = child
			continue
		}
		seen[key.Value] = at
		d.places[child] = at
		i := slices.IndexFunc(fields, func(f field) bool { return f.name == key.Value })
		if i < 0 {
			d.add(child, "unknown field %s%s", quoted(key.Value), didYouMean(key.Value, names))
			for _, near := range nearest(key.Value, names) {
				d.excuse(pointer + "/" + near)
			}
			continue
		}
		fields[i].read(entries.Value(), child)
	}
}

// list reads a sequence, handing each element and its pointer to read.
func (d *decoder) list(read func(ast.Node, string)) func(ast.Node, string) {
	return func(node ast.Node, pointer string) {
		node = bare(node)
		seq, ok := node.(*ast.SequenceNode)
		if !ok {
			d.wrong(node, pointer, "a list")
			return
		}
		for i, v := range seq.Values {
			child := pointer + "/" + strconv.Itoa(i)
			d.places[child] = placeOf(v.GetToken())
			read(v, child)
		}
	}
}

// text reads a string. Plain scalars that YAML takes for something else
// (numbers, true, null) are refused rather than guessed at.
func (d *decoder) text(into *string) func(ast.Node, string) {
	return func(node ast.Node, pointer string) {
		var value string
		switch n := bare(node).(type) {
		case *ast.StringNode:
			value = n.Value
			d.places[pointer] = placeOf(n.GetToken())
		case *ast.LiteralNode:
			value = n.Value.Value
			d.places[pointer] = placeOf(n.GetToken())
		default:
			d.wrong(n, pointer, "text")
			return
		}
		// An escape in double quotes can bring in what the file itself may
		// not contain.
		if i := strings.IndexFunc(value, isControl); i >= 0 {
			d.add(pointer, "an escape makes a control character; remove it")
			return
		}
		*into = strings.TrimSpace(value)
	}
}

// number reads a plain decimal number such as 20 or 2.5. Octal, hexadecimal,
// underscores, infinity and not-a-number mean something else than they seem
// to, or nothing, and are refused.
func (d *decoder) number(into *float64) func(ast.Node, string) {
	return func(node ast.Node, pointer string) {
		node = bare(node)
		switch node.(type) {
		case *ast.IntegerNode, *ast.FloatNode:
			written := node.GetToken().Value
			if isDecimal(written) {
				if f, err := strconv.ParseFloat(written, 64); err == nil {
					d.places[pointer] = placeOf(node.GetToken())
					*into = f
					return
				}
			}
		}
		d.wrong(node, pointer, "a number such as 20 or 2.5")
	}
}

// integer reads a plain whole number.
func (d *decoder) integer(into *int) func(ast.Node, string) {
	return func(node ast.Node, pointer string) {
		node = bare(node)
		if _, ok := node.(*ast.IntegerNode); ok {
			if n, err := strconv.Atoi(node.GetToken().Value); err == nil && isDecimal(node.GetToken().Value) {
				d.places[pointer] = placeOf(node.GetToken())
				*into = n
				return
			}
		}
		d.wrong(node, pointer, "a whole number")
	}
}

// wrong notes a value of the wrong type, unless it is an alias, which has been
// refused by its token.
func (d *decoder) wrong(node ast.Node, pointer, want string) {
	if node == nil {
		d.add(pointer, "%s must be %s", fieldName(pointer), want)
		return
	}
	if node.Type() == ast.AliasType {
		d.excuse(pointer)
		return
	}
	var got string
	switch node.Type() {
	case ast.NullType:
		d.add(pointer, "%s has no value; write %s or remove it", fieldName(pointer), want)
		return
	case ast.BoolType, ast.IntegerType, ast.FloatType, ast.InfinityType, ast.NanType:
		d.places[pointer] = placeOf(node.GetToken())
		got = quoted(node.GetToken().Value)
		if want == "text" {
			want = "text; put it in quotes"
		}
	case ast.StringType, ast.LiteralType:
		d.places[pointer] = placeOf(node.GetToken())
		got = "text"
	case ast.SequenceType:
		got = "a list"
	default:
		got = "fields"
	}
	d.add(pointer, "%s is %s but must be %s", fieldName(pointer), got, want)
}

// bare strips anchors and tags, which have been refused by their tokens, so
// that the faults behind them are found as well.
func bare(node ast.Node) ast.Node {
	for {
		switch n := node.(type) {
		case *ast.AnchorNode:
			node = n.Value
		case *ast.TagNode:
			node = n.Value
		default:
			return node
		}
	}
}

// isDecimal reports digits with at most one point between them and a sign.
func isDecimal(s string) bool {
	s = strings.TrimPrefix(s, "-")
	whole, part, point := strings.Cut(s, ".")
	if len(whole) > 1 && whole[0] == '0' || !isDigits(whole) {
		return false
	}
	return !point || isDigits(part)
}

func isDigits(s string) bool {
	return s != "" && strings.Trim(s, "0123456789") == ""
}

// fieldName names the value at a pointer for a message: "weight", "entry 3 of
// phrases", or "the file".
func fieldName(pointer string) string {
	if pointer == "" {
		return "the file"
	}
	parent, name := cutLast(pointer)
	if n, err := strconv.Atoi(name); err == nil {
		_, list := cutLast(parent)
		return fmt.Sprintf("entry %d of %s", n+1, list)
	}
	return name
}

// cutLast splits a pointer before its last token.
func cutLast(pointer string) (parent, name string) {
	i := strings.LastIndexByte(pointer, '/')
	return pointer[:max(i, 0)], pointer[i+1:]
}

// escapePointer writes a key as a token of a JSON pointer (RFC 6901, 3).
func escapePointer(key string) string {
	return strings.NewReplacer("~", "~0", "/", "~1").Replace(key)
}

// quoted is a piece of somebody else's text for a message: in quotes, on one
// line, and not too long.
func quoted(s string) string {
	const most = 60
	if r := []rune(s); len(r) > most {
		s = string(r[:most]) + "…"
	}
	return strconv.Quote(s)
}
