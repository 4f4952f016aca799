"""All pruning methods, by name: functions of one signature."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal, Protocol

from msgspec.structs import fields

from pruning.counting.traits import TRAITS, Phase, Traits
from pruning.dynamic.training import RULES, train_sparse
from pruning.layerwise.low_rank import least_weights, prune_low_rank
from pruning.layerwise.pfp import drawn, partly_drawn, prune_pfp
from pruning.layerwise.sensitivity import sensitivities
from pruning.layerwise.sipp import prune_sipp
from pruning.quadratic.cbs import prune_cbs
from pruning.quadratic.chita import chita_path, prune_chita
from pruning.quadratic.greedy import prune_obs_greedy
from pruning.quadratic.mfac import prune_mfac, prune_woodfisher, prune_woodtaylor
from pruning.quadratic.obs import prune_obs
from pruning.removal.nodes import prune_nodes
from pruning.removal.rounds import prune_in_rounds
from pruning.removal.weights import prune_weights
from pruning.scores import foresight, saliency
from pruning.scores.ntk_sap import ntk_sap, perturbed, trace
from pruning.spec import MethodName, PruningSpec
from pruning.stage import Budget, Cut, Evidence
from surrogate.functions.network import Network


class Prune(Protocol):
    """One step: the network in raw units, cut down to a budget."""

    def __call__(self, network: Network, budget: Budget, evidence: Evidence) -> Cut:
        """The network within the budget."""


class PrunePath(Protocol):
    """Cuts of one network to several numbers of weights, from one look at the samples."""

    def __call__(self, network: Network, counts: Sequence[int], evidence: Evidence) -> tuple[Cut, ...]:
        """One cut a number, in the order given."""


@dataclass(frozen=True, kw_only=True)
class PruningMethod:
    """A method with what a reader wants to know about it.

    Args:
        traits: what kind of method it is.
        options: the fields of PruningSpec that it reads besides target, schedule, retraining and fine-tuning; "samples"
            if it looks at the samples at all, be it only for some value of another option.
        refits: a further stage at the same budget improves the weights.
        proven: removes nodes with a proven bound.
        path: several numbers of weights at once, where that costs less than one after the other.
    """

    prune: Prune
    traits: Traits
    paper: str
    summary: str
    options: tuple[str, ...] = ()
    refits: bool = False
    proven: bool = True
    path: PrunePath | None = None

    @property
    def granularity(self) -> Literal["weights", "nodes"]:
        """What it removes."""
        return self.traits.granularity

    @property
    def phase(self) -> Phase:
        """When it prunes."""
        return self.traits.phase

    def unread(self, spec: PruningSpec) -> tuple[str, ...]:
        """Options that a specification gives, in another value than their default, and that this method ignores."""
        known = {option for method in METHODS.values() for option in method.options} - set(self.options)
        defaults = {field.name: field.default for field in fields(spec)}
        return tuple(name for name in defaults if name in known and getattr(spec, name) != defaults[name])

    def least_weights(self, network: Network) -> int:
        """The fewest weights that it can keep of a network."""
        return least_weights(network) if self.traits.factors else len(network.weights)


METHODS: Mapping[MethodName, PruningMethod] = {
    "magnitude": PruningMethod(
        traits=TRAITS["magnitude"],
        prune=partial(prune_weights, score=saliency.magnitude),
        paper="Han et al., Learning both weights and connections for efficient neural networks, 2015",
        summary="smallest |w| of the whole network first",
        options=("samples",),
    ),
    "magnitude_layerwise": PruningMethod(
        traits=TRAITS["magnitude_layerwise"],
        prune=partial(prune_weights, score=saliency.magnitude_layerwise),
        paper="Han et al., Learning both weights and connections for efficient neural networks, 2015",
        summary="smallest |w| first, the same share in every layer",
        options=("samples",),
    ),
    "magnitude_neuron": PruningMethod(
        traits=TRAITS["magnitude_neuron"],
        prune=partial(prune_nodes, score=saliency.node_magnitude),
        paper="He et al., Soft filter pruning for accelerating deep convolutional neural networks, 2018",
        summary="nodes with the smallest row norm first, the same share in every layer; proven bound over the Box",
        options=("samples", "protect_inputs", "fold", "splits", "enclosure", "importance"),
    ),
    "salience": PruningMethod(
        traits=TRAITS["salience"],
        prune=partial(prune_weights, score=saliency.salience),
        paper="Mozer & Smolensky, Skeletonization, 1989; Molchanov et al., Pruning convolutional neural networks, 2017",
        summary="smallest |w dL/dw| first, L the loss of the rows",
        options=("rows", "samples"),
    ),
    "salience_per_sample": PruningMethod(
        traits=TRAITS["salience_per_sample"],
        prune=partial(prune_weights, score=saliency.salience_per_sample),
        paper="Mozer & Smolensky, Skeletonization, 1989; Molchanov et al., Pruning convolutional neural networks, 2017",
        summary="smallest mean over samples of |w dL_n/dw| first",
        options=("rows", "samples"),
    ),
    "random": PruningMethod(
        traits=TRAITS["random"],
        prune=partial(prune_weights, score=saliency.random),
        paper="baseline",
        summary="weights in random order",
        options=("samples",),
    ),
    "random_neuron": PruningMethod(
        traits=TRAITS["random_neuron"],
        prune=partial(prune_nodes, score=saliency.node_random),
        paper="baseline",
        summary="nodes in random order; proven bound over the Box",
        options=("samples", "protect_inputs", "fold", "splits", "enclosure"),
    ),
    "significance": PruningMethod(
        traits=TRAITS["significance"],
        prune=partial(prune_nodes, score=saliency.node_significance, merging=True),
        paper="Afghan & Naumann, Interval adjoint significance analysis for neural networks, 2020; "
        "Kichler, Afghan & Naumann, Towards Sobolev pruning, 2024",
        summary="nodes that can move the value, delta or gamma least over the Box first, by interval adjoints; "
        "proven bound; with a target in parameters, nearly affine layers merge",
        options=("samples", "protect_inputs", "fold", "splits", "enclosure", "targets"),
    ),
    "obd": PruningMethod(
        traits=TRAITS["obd"],
        prune=partial(prune_weights, score=saliency.obd),
        paper="LeCun, Denker & Solla, Optimal brain damage, 1989",
        summary="smallest w^2 H_ii / 2 first, H the curvature of the loss; no weight answers",
        options=("rows", "samples"),
    ),
    "obs": PruningMethod(
        traits=TRAITS["obs"],
        prune=prune_obs,
        paper="Hassibi & Stork, Second order derivatives for network pruning: optimal brain surgeon, 1993",
        summary="smallest w^2 / (2 [H^-1]_ii) first; the weights that stay answer to all that go jointly",
        options=("rows", "samples", "ridge", "block", "gradient_term", "safeguard"),
    ),
    "obs_greedy": PruningMethod(
        traits=TRAITS["obs_greedy"],
        prune=prune_obs_greedy,
        paper="Hassibi & Stork, Second order derivatives for network pruning: optimal brain surgeon, 1993",
        summary="the optimal brain surgeon, one weight at a time with new scores after each",
        options=("rows", "samples", "ridge", "block", "gradient_term", "safeguard"),
    ),
    "woodfisher": PruningMethod(
        traits=TRAITS["woodfisher"],
        prune=prune_woodfisher,
        paper="Singh & Alistarh, WoodFisher: efficient second-order approximation for neural network compression, 2020",
        summary="smallest w^2 / (2 [H^-1]_ii) first; those that stay answer to each that goes as if it went alone",
        options=("rows", "samples", "ridge", "block", "gradient_term"),
    ),
    "woodtaylor": PruningMethod(
        traits=TRAITS["woodtaylor"],
        prune=prune_woodtaylor,
        paper="Singh & Alistarh, WoodFisher: efficient second-order approximation for neural network compression, 2020",
        summary="WoodFisher with the gradient of the loss, for networks that are not fully trained",
        options=("rows", "samples", "ridge", "block", "gradient_term"),
    ),
    "mfac": PruningMethod(
        traits=TRAITS["mfac"],
        prune=prune_mfac,
        paper="Frantar et al., M-FAC: efficient matrix-free approximations of second-order information, 2021",
        summary="WoodFisher in rounds, the curvature of what is left taken afresh in each",
        options=("rows", "samples", "ridge", "block", "rounds", "gradient_term"),
    ),
    "cbs": PruningMethod(
        traits=TRAITS["cbs"],
        prune=prune_cbs,
        paper="Yu et al., The combinatorial brain surgeon: pruning weights that cancel one another in neural networks, "
        "2022",
        summary="weights whose effects cancel, found by random trials and swaps; those that stay answer jointly",
        options=("rows", "samples", "ridge", "gradient_term", "safeguard"),
    ),
    "chita": PruningMethod(
        traits=TRAITS["chita"],
        prune=prune_chita,
        paper="Benbaki et al., Fast as CHITA: neural network pruning with combinatorial optimization, 2023",
        summary="weights chosen and adjusted together so that a quadratic model of the loss rises least",
        options=(
            "rows",
            "samples",
            "ridge",
            "block",
            "rounds",
            "refinement",
            "gradient_term",
            "line_search",
            "safeguard",
        ),
        refits=True,
        path=chita_path,
    ),
    "sipp": PruningMethod(
        traits=TRAITS["sipp"],
        prune=partial(prune_weights, score=sensitivities),
        paper="Baykal et al., Sensitivity-informed provable pruning of neural networks, 2022",
        summary="weights first whose largest share of any sum they enter, over all samples, is smallest",
        options=("samples",),
    ),
    "sipp_random": PruningMethod(
        traits=TRAITS["sipp_random"],
        prune=prune_sipp,
        paper="Baykal et al., Sensitivity-informed provable pruning of neural networks, 2022",
        summary="weights drawn by the same sensitivities and rescaled; unbiased weight by weight at a given number of "
        "draws, not once that is chosen by what it leaves",
        options=("samples", "relative_error", "failure"),
    ),
    "sipp_hybrid": PruningMethod(
        traits=TRAITS["sipp_hybrid"],
        prune=partial(prune_sipp, hybrid=True),
        paper="Baykal et al., Sensitivity-informed provable pruning of neural networks, 2022",
        summary="row by row the better of the two before, by their error bounds",
        options=("samples",),
    ),
    "pfp": PruningMethod(
        traits=TRAITS["pfp"],
        prune=prune_pfp,
        paper="Liebenwein et al., Provable filter pruning for efficient neural networks, 2020",
        summary="nodes that matter least to all who read them first; layers sized for one accuracy; proven bound over "
        "the Box",
        options=("samples", "protect_inputs", "fold", "allocation"),
    ),
    "pfp_top": PruningMethod(
        traits=TRAITS["pfp_top"],
        prune=partial(prune_pfp, choice=partly_drawn),
        paper="Liebenwein et al., Provable filter pruning for efficient neural networks, 2020",
        summary="PFP that keeps the most sensitive nodes and draws the rest, rescaled",
        options=("samples", "protect_inputs", "fold", "allocation"),
        proven=False,
    ),
    "pfp_random": PruningMethod(
        traits=TRAITS["pfp_random"],
        prune=partial(prune_pfp, choice=drawn),
        paper="Liebenwein et al., Provable filter pruning for efficient neural networks, 2020",
        summary="PFP that draws all nodes, rescaled so that every sum stays unbiased",
        options=("samples", "protect_inputs", "fold", "allocation", "relative_error", "failure"),
        proven=False,
    ),
    "alds": PruningMethod(
        traits=TRAITS["alds"],
        prune=prune_low_rank,
        paper="Liebenwein et al., Compressing neural networks: towards determining the optimal layer-wise "
        "decomposition, 2021",
        summary="layers become products of low rank with the least largest relative error; no masks, fewer operations",
    ),
    "snip": PruningMethod(
        traits=TRAITS["snip"],
        prune=partial(prune_weights, score=foresight.snip),
        paper="Lee, Ajanthan & Torr, SNIP: single-shot network pruning based on connection sensitivity, 2019",
        summary="smallest |w dL/dw| of the untrained network first, L the loss it is about to be trained with",
        options=("rows", "samples"),
    ),
    "snip_iterative": PruningMethod(
        traits=TRAITS["snip_iterative"],
        prune=partial(prune_in_rounds, step=partial(prune_weights, score=foresight.snip), rounds=100),
        paper="de Jorge et al., Progressive skeletonization: trimming more fat from a network at initialization, 2021",
        summary="SNIP in rounds, so that what is left is scored again without what is gone",
        options=("rows", "samples", "rounds"),
    ),
    "grasp": PruningMethod(
        traits=TRAITS["grasp"],
        prune=partial(prune_weights, score=foresight.grasp),
        paper="Wang, Zhang & Grosse, Picking winning tickets before training by preserving gradient flow, 2020",
        summary="weights first whose removal leaves the largest gradient norm",
        options=("rows", "samples"),
    ),
    "synflow": PruningMethod(
        traits=TRAITS["synflow"],
        prune=partial(prune_in_rounds, step=partial(prune_weights, score=foresight.synflow), rounds=100),
        paper="Tanaka et al., Pruning neural networks without any data by iteratively conserving synaptic flow, 2020",
        summary="weights first that carry least of the product of all |w| from inputs to outputs; cuts off no layer; "
        "of the samples it uses the spreads, as units, and which weights none of them feels: those go before others",
        options=("samples", "rounds"),
    ),
    "ntk_sap": PruningMethod(
        traits=TRAITS["ntk_sap"],
        prune=partial(
            prune_in_rounds, step=partial(prune_weights, score=partial(ntk_sap, discrepancy=perturbed)), rounds=20
        ),
        paper="Wang, Li & Sun, NTK-SAP: improving neural network pruning by aligning training dynamics, 2023",
        summary="weights first whose place adds least to the trace of the neural tangent kernel, over random weights "
        "and inputs; of the samples it uses their number and which weights none of them feels: those go before others",
        options=(
            "samples",
            "rounds",
            "draws",
            "epsilon",
            "kernel_inputs",
            "kernel_weights",
            "kernel_sharing",
        ),
    ),
    "ntk_sap_exact": PruningMethod(
        traits=TRAITS["ntk_sap_exact"],
        prune=partial(
            prune_in_rounds, step=partial(prune_weights, score=partial(ntk_sap, discrepancy=trace)), rounds=20
        ),
        paper="Wang, Li & Sun, NTK-SAP: improving neural network pruning by aligning training dynamics, 2023",
        summary="NTK-SAP with the trace itself in place of random perturbations",
        options=("samples", "rounds", "draws", "kernel_inputs", "kernel_weights", "kernel_sharing"),
    ),
    "set": PruningMethod(
        traits=TRAITS["set"],
        prune=partial(train_sparse, rule=RULES["set"]),
        paper="Mocanu et al., Scalable training of artificial neural networks with adaptive sparse connectivity "
        "inspired by network science, 2018",
        summary="trains a random sparse network; after every epoch weights closest to 0 make room for random ones",
        options=("dynamics",),
    ),
    "rigl": PruningMethod(
        traits=TRAITS["rigl"],
        prune=partial(train_sparse, rule=RULES["rigl"]),
        paper="Evci et al., Rigging the lottery: making all tickets winners, 2020",
        summary="trains a random sparse network; the smallest weights make room for those with the largest gradient",
        options=("dynamics",),
    ),
}
