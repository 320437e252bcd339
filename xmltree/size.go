package xmltree

import "unsafe"

// Size returns about how many bytes of memory the tree holds. Names are not counted, since trees share them.
func (t *Tree) Size() int { return len(t.text) + len(t.nodes)*int(unsafe.Sizeof(node{})) }
