import CoreML

public final class VNCoreMLModel {
    public convenience init(for model: MLModel) throws { fatalError() }
}
