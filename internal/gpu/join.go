//go:build cuda && cgo && linux && amd64

package gpu

import "github.com/lor2c/lor2c/internal/compute"

// This file computes products of one size in one launch if they follow each other directly, as the queries, keys and
// values of a layer do, and the gradients that these add to the layer's input. docs/adr/0068-joined-products.md has the
// reasons.

// joinable is a product with kernels of tiles, and those that have been joined to it. The device keeps that of the most
// recent launches, to which the next product may be joined.
type joinable struct {
	args    matmulArgs
	m, n, k int           // of each product
	t       compute.DType // of the factors
	// serial is that of the queue after the launches, and launches their number. It is 0 if nothing may be joined.
	serial, launches int
}

// joinOrLaunch queues a product, together with those of the most recent launches if that is possible.
func (d *Device) joinOrLaunch(p joinable) {
	last := &d.lastTiled
	if p.matches(last) && d.queue.isLast(last.serial) {
		if joined, ok := d.chain(last, &p); ok {
			p = joined
		} else if joined, ok := d.group(last, &p); ok {
			p = joined
		}
		if p.args.more > 0 {
			for range last.launches {
				d.queue.undoLaunch()
			}
		}
	}
	plan, tiles := d.planOf(&p)
	before, serial := len(d.queue.launches), d.queue.serial
	d.tiled(plan, p.t, p.args, p.m*p.n)
	p.serial, p.launches = d.queue.serial, len(d.queue.launches)-before
	// If the list was submitted in between, the launches are not all in the queue.
	if !tiles || p.launches != p.serial-serial {
		p.launches = 0
	}
	d.lastTiled = p
	if p.args.more > 0 && p.args.chained == 0 {
		d.lastProduct = fusableProduct{} // an op after it would have to be fused with all of them
	}
}

// planOf returns the plan of p, and whether the kernels of the plan may be used.
func (d *Device) planOf(p *joinable) (plan matmulPlan, tiles bool) {
	narrow, k := d.Bytes(p.t) == 2, p.k
	if p.args.chained != 0 {
		k = ceil(k, matmulDepth) * matmulDepth * int(1+p.args.more)
	}
	plan = d.plan(productShape{class(p.m), class(p.n), class(k), narrow, narrow && p.args.ta != 0 && p.args.tb != 0})
	if len(d.refused) == 0 {
		return plan, true
	}
	kernel, _ := d.tileKernel(plan, p.t, &p.args)
	return plan, !d.refused[kernel] && !(plan.parts > 1 && d.refused[d.typed("matmul_reduce", p.t)])
}

// matches reports whether p and last differ in tensors alone, and have an epilogue without an activation.
func (p *joinable) matches(last *joinable) bool {
	a, b := &p.args, &last.args
	return last.launches > 0 && int(b.more) < len(b.joined) &&
		p.m == last.m && p.n == last.n && p.k == last.k && p.t == last.t && a.ta == b.ta && a.tb == b.tb &&
		a.out.alpha == b.out.alpha && a.out.full == b.out.full &&
		a.out.pre == 0 && b.out.pre == 0 && a.out.act == 0 && b.out.act == 0 &&
		(a.a|a.b|a.out.dst|a.out.bias|b.a|b.b|b.out.dst|b.out.bias)%16 == 0
}

// join returns last with p as one more product.
func (p *joinable) join(last *joinable) joinable {
	joined := *last
	a := &joined.args
	a.joined[a.more] = joinedArgs{p.args.a, p.args.b, p.args.out.dst, p.args.out.bias}
	a.more++
	return joined
}

// chain joins p to last if it adds to the result of last. The sum is then rounded once. Only the kernels in bfloat16
// can do that.
func (d *Device) chain(last, p *joinable) (joinable, bool) {
	a, b := &p.args, &last.args
	if d.Bytes(p.t) != 2 || a.out.dst != b.out.dst || a.out.accumulate == 0 || a.out.bias != 0 || b.out.bias != 0 ||
		b.more > 0 && b.chained == 0 {
		return *p, false
	}
	joined := p.join(last)
	joined.args.chained = 1
	_, tiles := d.planOf(&joined)
	return joined, tiles
}

// group joins p to last if neither reads or writes what the other writes. Every result has the bits that it would have
// alone, because the plan is the same.
func (d *Device) group(last, p *joinable) (joinable, bool) {
	if plan, tiles := d.planOf(p); !tiles || plan.parts > 1 || last.args.chained != 0 ||
		p.args.out.accumulate != last.args.out.accumulate {
		return *p, false
	}
	reads, writes := d.spans(p, joinedArgs{p.args.a, p.args.b, p.args.out.dst, p.args.out.bias})
	for i := range 1 + last.args.more {
		other := joinedArgs{last.args.a, last.args.b, last.args.out.dst, last.args.out.bias}
		if i > 0 {
			other = last.args.joined[i-1]
		}
		otherReads, otherWrites := d.spans(last, other)
		if writes.overlaps(otherWrites) {
			return *p, false
		}
		for j := range reads {
			if reads[j].overlaps(otherWrites) || otherReads[j].overlaps(writes) {
				return *p, false
			}
		}
	}
	return p.join(last), true
}

// span is a range of addresses.
type span struct{ begin, end ptr }

func (s span) overlaps(other span) bool { return s.begin < other.end && other.begin < s.end }

// spans returns what a product reads and writes.
func (d *Device) spans(p *joinable, a joinedArgs) (reads [3]span, writes span) {
	size := ptr(d.Bytes(p.t))
	out := size
	if p.args.out.full != 0 {
		out = 4
	}
	m, n, k := ptr(p.m), ptr(p.n), ptr(p.k)
	reads = [3]span{{a.a, a.a + m*k*size}, {a.b, a.b + k*n*size}, {}}
	if a.bias != 0 {
		reads[2] = span{a.bias, a.bias + n*size}
	}
	return reads, span{a.dst, a.dst + m*n*out}
}
