"""A key that nothing reads, a value of the wrong type and a name of nothing are said in one line before training."""

from pathlib import Path

import pytest

from paddle_vfl.errors import UserError
from paddle_vfl.training import configs

CONFIGS = Path(__file__).resolve().parents[2] / "configs"
PPYOLOE = str(CONFIGS / "ppyoloe_plus_digits.yml")


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.yml")), ids=lambda path: path.stem)
def test_nothing_of_our_own_configs_is_refused(path, caplog):
    if path.stem.startswith("rtdetr"):
        ppdet = pytest.importorskip("ppdet.modeling.transformers")
        if not hasattr(ppdet, "RTDETRTransformer"):
            pytest.skip("this PaddleDetection has no RT-DETR")
    if path.stem.startswith("yolov8"):
        heads = pytest.importorskip("ppdet.modeling.heads")
        if not hasattr(heads, "YOLOv8Head"):
            pytest.skip("PaddleYOLO has this head")
    configs.load(path)
    assert not [record for record in caplog.records if record.levelname == "WARNING"]


@pytest.mark.parametrize(
    "option, message",
    [
        ("epohc=3", "option epohc: nothing reads this key; did you mean 'epoch'?"),
        ("Epoch=3", "option Epoch: nothing reads this key; did you mean 'epoch'?"),
        ("batch_size=3", "batch_size: nothing reads this key; did you mean 'TrainReader.batch_size'"),
        ("base_lr=3", "base_lr: nothing reads this key; did you mean 'LearningRate.base_lr'"),
        ("zzz=3", "option zzz: nothing reads this key"),
        ("TrainReader.batchsize=2", "TrainReader.batchsize: nothing reads this key; did you mean 'batch_size'?"),
        ("PPYOLOEHed.loss=VarifocalLoss", "PPYOLOEHed: nothing reads this key; did you mean 'PPYOLOEHead'"),
        ("PPYOLOEHead.los=VarifocalLoss", "PPYOLOEHead.los: PPYOLOEHead has no such option; did you mean 'loss'?"),
        ("PPYOLOEHead.nms.nms_treshold=0.5", "PPYOLOEHead.nms.nms_treshold: MultiClassNMS has no such option"),
        ("PPYOLOEHead.assigner.topkk=5", "PPYOLOEHead.assigner.topkk: TaskAlignedAssigner has no such option"),
        (
            "TrainDataset.datasetdir=x",
            "TrainDataset.datasetdir: COCODataSet has no such option; did you mean 'dataset_dir'?",
        ),
        ("OptimizerBuilder.optimizer.weight_deacy=0", "AdamW has no such option; did you mean 'weight_decay'?"),
        ("LearningRate.schedulers.max_epochs=3", "LearningRate.schedulers is a list, which has no keys"),
        ("TrainReader.sample_transforms.Resize.interp=2", "TrainReader.sample_transforms is a list"),
        ("save_dir.x=2", "save_dir is output, which has no keys"),
        ("epoch.x=2", "epoch is 16, which has no keys"),
        ("num_classes=ten", "num_classes is 'ten', expected an integer, at least 1"),
        ("epoch=ten", "epoch is 'ten', expected an integer, at least 1"),
        ("epoch=0", "epoch is 0, expected an integer, at least 1"),
        ("epoch=2.5", "epoch is 2.5, expected an integer, at least 1"),
        ("epoch=true", "epoch is True, expected an integer, at least 1"),
        ("epoch=", "epoch is None, expected an integer, at least 1"),
        ("snapshot_epoch=0", "snapshot_epoch is 0, expected an integer, at least 1"),
        ("log_iter=0", "log_iter is 0"),
        ("worker_num=-1", "worker_num is -1, expected an integer, at least 0"),
        ("TrainReader.batch_size=0", "TrainReader.batch_size is 0, expected an integer, at least 1"),
        ("TrainReader.shuffle=flase", "TrainReader.shuffle is 'flase', expected true or false"),
        ("use_gpu=flase", "use_gpu is 'flase', expected true or false"),
        ("LearningRate.base_lr=high", "LearningRate.base_lr is 'high', expected a number"),
        ("LearningRate.base_lr=0", "LearningRate.base_lr is 0, expected a number above 0"),
        ("LearningRate.base_lr=.nan", "LearningRate.base_lr is nan, expected a number above 0"),
        ("ema_decay=high", "ema_decay is 'high', expected a number"),
        ("OptimizerBuilder.clip_grad_by_norm=no", "clip_grad_by_norm is False, expected a number"),
        ("LearningRate.schedulers=3", "LearningRate.schedulers is 3, expected a list"),
        ("LearningRate.schedulers=[CosineDecay]", "LearningRate.schedulers: 'CosineDecay' is no mapping"),
        ("TrainReader.sample_transforms={Decode: {}}", "expected a list"),
        ("TrainReader.sample_transforms=[Decode]", "TrainReader.sample_transforms: 'Decode' is no mapping"),
        ("PPYOLOEHead.fpn_strides=all", "PPYOLOEHead.fpn_strides is 'all', expected a list"),
        ("PPYOLOEHead.loss_weight=2", "PPYOLOEHead.loss_weight is 2, expected a mapping"),
        ("architecture=YOLOvX", "architecture: there is no 'YOLOvX'; did you mean 'YOLO"),
        ("architecture=PPYOLOEHead", "architecture: there is no 'PPYOLOEHead'"),
        ("amp_level=O3", "amp_level: there is no 'O3'; there are O0, O1, O2"),
        ("metric=COCOO", "metric: there is no 'COCOO'; did you mean 'COCO'"),
        ("metric=coco", "metric: there is no 'coco'; did you mean 'COCO'"),
        ("OptimizerBuilder.optimizer.type=AdamX", "optimizer.type: there is no 'AdamX'; did you mean 'Adam"),
        ("OptimizerBuilder.regularizer={type: L3, factor: 1}", "regularizer.type: there is no 'L3'; there are L1, L2"),
        ("TrainDataset.name=COCODataset", "TrainDataset.name: there is no 'COCODataset'; did you mean 'COCODataSet'"),
        (
            "LearningRate.schedulers=[{name: CosineDecai, max_epochs: 3}]",
            "schedulers.name: there is no 'CosineDecai'; did you mean 'CosineDecay'",
        ),
        (
            "LearningRate.schedulers=[{name: CosineDecay, max_epoch: 3}]",
            "LearningRate.schedulers.max_epoch: CosineDecay has no such option; did you mean 'max_epochs'?",
        ),
        (
            "TrainReader.sample_transforms=[{Decod: {}}]",
            "TrainReader.sample_transforms.Decod: PaddleDetection has no such option; did you mean 'Decode'",
        ),
        ("LearningRate.base_lr=[1]", "LearningRate.base_lr is [1], expected a number above 0"),
        ("architecture=[PPYOLOE]", "architecture: there is no ['PPYOLOE']"),
        ("metric=[COCO]", "metric: there is no ['COCO']"),
        ("TrainDataset.name=[COCODataSet]", "TrainDataset.name: there is no ['COCODataSet']"),
        ("OptimizerBuilder.optimizer.type=[AdamW]", "OptimizerBuilder.optimizer.type: there is no ['AdamW']"),
        ("PPYOLOEHead=3", "PPYOLOEHead is 3, expected a mapping of its options"),
        ("LearningRate.schedulers=null", "LearningRate.schedulers is None, expected a list of {name: options}"),
        ("LearningRate.schedulers=[null]", "LearningRate.schedulers: None is no mapping, expected {name: options}"),
        (
            "TrainReader.sample_transforms=[{Resize: {size: 3}}]",
            "TrainReader.sample_transforms.Resize.size: Resize has no such option",
        ),
    ],
)
def test_a_mistaken_option(option, message):
    with pytest.raises(UserError) as error:
        configs.load(PPYOLOE, [option])
    assert message in str(error.value)


@pytest.mark.parametrize(
    "option, path, value",
    [
        ("LearningRate.base_lr=1e-3", ("LearningRate", "base_lr"), 1e-3),
        ("epoch=1e2", ("epoch",), 100),
        ("TrainReader.batch_size=1e1", ("TrainReader", "batch_size"), 10),
        ("OptimizerBuilder.optimizer.epsilon=1e-7", ("OptimizerBuilder", "optimizer", "epsilon"), 1e-7),
        ("LearningRate.schedulers=[{name: PiecewiseDecay, gamma: [1e-1, 1e-2]}]",
         ("LearningRate", "schedulers", 0, "gamma"), [0.1, 0.01]),
        ("save_dir=1e-3", ("save_dir",), "1e-3"),
        ("save_dir=007", ("save_dir",), "007"),
        ("TrainDataset.dataset_dir=2024-01-02", ("TrainDataset", "dataset_dir"), "2024-01-02"),
        ("TrainDataset.image_dir=no", ("TrainDataset", "image_dir"), "no"),
        ("OptimizerBuilder.optimizer={type: Momentum, momentum: 0.9, use_nesterov: true}",
         ("OptimizerBuilder", "optimizer", "use_nesterov"), True),
        ("OptimizerBuilder.regularizer=false", ("OptimizerBuilder", "regularizer"), False),
        ("PPYOLOEHead.loss.alpha=0.5", ("PPYOLOEHead", "loss"), {"name": "VarifocalLoss", "alpha": 0.5}),
        ("PPYOLOEHead.nms=~", ("PPYOLOEHead", "nms"), None),
        ("TrainReader.mixup_epoch=3", ("TrainReader", "mixup_epoch"), 3),
        ("TestReader.fuse_normalize=true", ("TestReader", "fuse_normalize"), True),
    ],
)  # fmt: skip
def test_an_option_means_what_its_key_wants(option, path, value):
    got = configs.load(PPYOLOE, [option])
    for key in path:
        got = got[key]
    assert got == value and type(got) is type(value)


@pytest.mark.parametrize(
    "text, message",
    [
        ("epohc: 3", "epohc: nothing reads this key; did you mean 'epoch'? (in "),
        (
            "TrainReader: {batchsize: 2}",
            "TrainReader.batchsize: nothing reads this key; did you mean 'batch_size'? (in ",
        ),
        ("PPYOLOEHed: {loss: VarifocalLoss}", "PPYOLOEHed: nothing reads this key; did you mean 'PPYOLOEHead'"),
        ("epoch: ten", "epoch is 'ten', expected an integer, at least 1"),
        ("LearningRate:", "LearningRate is None, expected a mapping of its options"),
        ("PPYOLOE:", "PPYOLOE is None, expected a mapping of its options"),
        ("TrainReader: [Decode]", "TrainReader is ['Decode'], expected a mapping of its options"),
        ("LearningRate: {base_lr: high}", "LearningRate.base_lr is 'high', expected a number"),
    ],
)
def test_a_mistake_in_a_file(text, message, tmp_path):
    path = tmp_path / "c.yml"
    path.write_text(f"_BASE_: ['{PPYOLOE}']\n{text}")
    with pytest.raises(UserError) as error:
        configs.load(path)
    assert message in str(error.value)


@pytest.mark.parametrize(
    "text, message",
    [
        ("epoch: 30", "max_epochs is 16, and epoch is 30: the learning rate is at its lowest from there on"),
        ("my_note: 3", "nothing reads these keys of the config: my_note"),
        ("on: 3\n77: {2: 3}", "nothing reads these keys of the config: True, 77"),  # YAML reads no text there
        ("TrainReader: {shuffle: Fasle}", "TrainReader.shuffle is 'Fasle', expected true or false: it counts as true"),
        ("epoch: 3\nepoch: 4", "c.yml says epoch twice: what line 3 says holds"),
    ],
)
def test_a_doubtful_thing_in_a_file_is_a_warning(text, message, tmp_path, caplog):
    path = tmp_path / "c.yml"
    path.write_text(f"_BASE_: ['{PPYOLOE}']\n{text}")
    configs.load(path)
    assert any(message in record.getMessage() for record in caplog.records)


def test_an_anchor_is_no_mistake_in_a_file_but_one_in_an_option(tmp_path, caplog):
    path = tmp_path / "c.yml"
    path.write_text(f"_BASE_: ['{PPYOLOE}']\nepochs: &epochs 3\nepoch: *epochs")
    assert configs.load(path).epoch == 3
    assert not [record for record in caplog.records if record.levelname == "WARNING"]
    with pytest.raises(
        UserError, match="epochs: nothing reads this key; other keys took its value over when the file was read"
    ):
        configs.load(path, ["epochs=5"])


def test_who_sets_both_has_not_misspelt_one(tmp_path):
    path = tmp_path / "c.yml"
    path.write_text(f"_BASE_: ['{PPYOLOE}']\nepochs: 3\nepoch: 3")
    configs.load(path)
    path.write_text(f"_BASE_: ['{PPYOLOE}']\nepochs: 3")
    with pytest.raises(UserError, match="epochs: nothing reads this key; did you mean 'epoch'"):
        configs.load(path)


def test_numbers_in_a_file_that_yaml_takes_for_text(tmp_path):
    path = tmp_path / "c.yml"
    path.write_text(f"_BASE_: ['{PPYOLOE}']\nLearningRate: {{base_lr: 1e-3}}\nsave_dir: 1e-3")
    cfg = configs.load(path)
    assert cfg.LearningRate["base_lr"] == 1e-3


def test_keys_that_may_be_left_out(tmp_path):
    path = tmp_path / "c.yml"
    path.write_text("architecture: PPYOLOE\nnum_classes: 10\n")
    with pytest.raises(UserError, match="c.yml: no metric"):
        configs.load(path)
    cfg = configs.load(path, ["metric=COCO"])
    assert (cfg.save_dir, cfg.snapshot_epoch, cfg.worker_num, cfg.map_type) == ("output", 1, 0, "11point")


def test_nothing_is_left_of_the_config_before(tmp_path):
    """In one process, as in a notebook: PaddleDetection lays each config over what it has."""
    path = tmp_path / "c.yml"
    path.write_text(f"_BASE_: ['{PPYOLOE}']\nTrainDataset: !COCODataSet {{dataset_dir: elsewhere}}\nunread: 1")
    cfg = configs.load(path, ["PPYOLOEHead.loss.alpha=0.5", "MatchabilityAwareLoss.gamma=1.0", "epoch=3"])
    configs.make_run_folder(cfg)
    cfg = configs.load(PPYOLOE)
    fresh = {key: dict(value) if isinstance(value, dict) else value for key, value in cfg.items()}
    assert fresh["PPYOLOEHead"]["loss"] == "VarifocalLoss" and fresh["MatchabilityAwareLoss"] == {}
    assert fresh["epoch"] == 16 and not {"unread", "output_eval"} & set(fresh)
    assert fresh["TrainDataset"]["name"] == "COCODataSet" and fresh["TrainDataset"]["dataset_dir"] == "dataset/digits"
