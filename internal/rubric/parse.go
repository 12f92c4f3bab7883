package rubric

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// MaxBytes is the largest file that is read as a set: 1 MiB. The largest set
// we know of takes a tenth of it.
const MaxBytes = 1 << 20

// Parse reads one set from YAML. name stands in front of every fault.
//
// It accepts plain YAML only: no anchors, aliases, merge keys, tags,
// directives or second documents, no unknown or duplicate fields, no value of
// the wrong type. The error is Faults and holds every fault found, each with
// line, column and an excerpt; only a syntax error hides those after it.
// Texts lose the white space around them; line breaks become LF.
func Parse(name string, data []byte) (*Set, error) {
	if len(data) > MaxBytes {
		return nil, Faults{{Path: name, Reason: fmt.Sprintf("larger than %d bytes; split the set", MaxBytes)}}
	}
	src, faults := newSource(name, data)
	if len(faults) > 0 {
		return nil, faults
	}
	tokens := lexer.Tokenize(src.text)
	faults, fatal := checkTokens(src, tokens)
	if fatal {
		return nil, faults
	}
	// Duplicate keys are ours to find: the parser would stop at the first.
	file, err := parser.Parse(tokens, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		return nil, append(faults, syntaxFault(src, err))
	}
	root, fault := body(src, file)
	if fault != nil {
		return nil, append(faults, fault)
	}

	if len(faults) == 0 {
		if lost := lostTokens(src, tokens, root); len(lost) > 0 {
			return nil, lost
		}
	}

	d := &decoder{places: make(map[string]place)}
	d.at = func(pointer string) InvalidError { return src.at(lookup(d.places, pointer)) }
	d.given = func(pointer string) bool { _, ok := d.places[pointer]; return ok }
	set := d.set(root)
	checkSet(set, &d.collector)
	if faults = append(faults, d.faults...); len(faults) > 0 {
		slices.SortStableFunc(faults, func(a, b *InvalidError) int {
			if a.Line != b.Line {
				return a.Line - b.Line
			}
			return a.Column - b.Column
		})
		return nil, faults
	}

	set.path, set.places = name, d.places
	for _, q := range set.Questions {
		q.Ref = set.ID + "/" + q.ID
		q.digest = q.computeDigest()
	}
	set.digest = set.computeDigest()
	return set, nil
}

// syntaxFault translates the error of the YAML parser, without the excerpt
// that it would print.
func syntaxFault(src *source, err error) *InvalidError {
	var syntax yaml.Error
	if errors.As(err, &syntax) {
		return src.fault(placeOf(syntax.GetToken()), "not valid YAML: "+syntax.GetMessage())
	}
	return &InvalidError{Path: src.path, Reason: "not valid YAML: " + err.Error()}
}

// lostTokens finds text of the file that the parser read and then dropped
// without a word. We know of no such text beyond what checkTokens and newSource
// refuse; but a rubric that is not what its author wrote would go unnoticed.
func lostTokens(src *source, tokens token.Tokens, root ast.Node) Faults {
	kept := make(map[*token.Token]bool)
	ast.Walk(visit(func(n ast.Node) {
		kept[n.GetToken()] = true
	}), root)
	var faults Faults
	for _, tk := range tokens {
		switch tk.Type {
		case token.StringType, token.SingleQuoteType, token.DoubleQuoteType, token.IntegerType, token.FloatType, token.BoolType, token.NullType:
			if !kept[tk] {
				faults = append(faults, src.fault(placeOf(tk), "not valid YAML: this does not belong to any value"))
			}
		}
		if len(faults) >= faultsShown {
			break
		}
	}
	return faults
}

// visit is a function as an ast.Visitor.
type visit func(ast.Node)

// Visit calls the function and goes on below the node.
func (v visit) Visit(n ast.Node) ast.Visitor { v(n); return v }

// body is the content of the one document of a file.
func body(src *source, file *ast.File) (ast.Node, *InvalidError) {
	for _, doc := range file.Docs {
		if doc.Body != nil && doc.Body.Type() != ast.DirectiveType {
			return doc.Body, nil
		}
	}
	return nil, &InvalidError{Path: src.path, Reason: "the file is empty; a set needs version, id and questions"}
}

// lookup finds where a pointer stands, or else what it would stand in.
func lookup(places map[string]place, pointer string) place {
	for {
		if p, ok := places[pointer]; ok {
			return p
		}
		i := strings.LastIndexByte(pointer, '/')
		if i < 0 {
			return place{}
		}
		pointer = pointer[:i]
	}
}
