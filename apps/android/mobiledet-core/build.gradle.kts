import org.jetbrains.kotlin.gradle.dsl.JvmTarget

plugins {
    `java-library`
    `maven-publish`
    alias(libs.plugins.kotlin.jvm)
}

description = "Object detection with mobiledet bundles on the JVM: bundles, resizing, decoding, tracking, evaluation"

java {
    withSourcesJar()
    withJavadocJar()
    sourceCompatibility = JavaVersion.VERSION_1_8
    targetCompatibility = JavaVersion.VERSION_1_8
}

kotlin {
    explicitApi()
    compilerOptions {
        jvmTarget = JvmTarget.JVM_1_8
        allWarningsAsErrors = true
    }
}

tasks.compileKotlin {
    // only the Java classes of Android 8; the tests may use newer ones
    compilerOptions.freeCompilerArgs.add("-Xjdk-release=8")
}

dependencies {
    implementation(libs.gson)
    testImplementation(libs.junit)
    testImplementation(libs.json.schema.validator)
}

publishing {
    publications.create<MavenPublication>("maven") { from(components["java"]) }
}

tasks.test {
    systemProperty("mobiledet.testdata", rootDir.resolve("../testdata").canonicalPath)
}
